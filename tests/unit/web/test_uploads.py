from __future__ import annotations

from flask import Flask

from webapp.web import uploads


def test_only_a_view_that_declares_it_takes_files() -> None:
    app = Flask("small")
    app.add_url_rule("/file", "file", uploads.accepts_upload(lambda: str(uploads.is_upload_request())))
    app.add_url_rule("/other", "other", lambda: str(uploads.is_upload_request()))
    client = app.test_client()
    assert (client.get("/file").text, client.get("/other").text) == ("True", "False")
