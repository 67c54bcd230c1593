from __future__ import annotations

import pytest
from flask import Flask, request

from webapp.errors import TooLargeError
from webapp.web import uploads

LARGE = b"x" * 2000


@pytest.fixture
def small_app() -> Flask:
    app = Flask("small")
    app.config.update({"TESTING": True, "MAX_CONTENT_LENGTH": 1000, uploads.MAX_UPLOAD_CONFIG_KEY: 1024 * 1024})
    uploads.init_app(app)
    app.add_url_rule("/file", "file", uploads.accepts_upload(lambda: str(len(request.data))), methods=["POST"])
    app.add_url_rule("/other", "other", lambda: str(len(request.data)), methods=["POST"])
    return app


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/file", {"Authorization": "Bearer x"}, 200),
        ("/file", {}, 413),
        ("/other", {"Authorization": "Bearer x"}, 413),
    ],
)
def test_only_views_that_accept_files_from_known_users_take_large_bodies(
    small_app: Flask, path: str, headers: dict[str, str], status: int
) -> None:
    assert small_app.test_client().post(path, data=LARGE, headers=headers).status_code == status


def test_a_file_that_is_too_large_is_refused_with_the_limit(small_app: Flask) -> None:
    with pytest.raises(TooLargeError, match="may have 1 MiB"):
        small_app.test_client().post(
            "/file", headers={"Authorization": "Bearer x"}, environ_overrides={"CONTENT_LENGTH": str(2 * 1024 * 1024)}
        )
