from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from werkzeug.wrappers import Response

from webapp.web.cookies import set_cookie


@pytest.mark.parametrize("secure", [True, False])
def test_a_cookie_is_for_its_path_and_for_no_script(*, secure: bool) -> None:
    app, response = Flask(__name__), Response()
    app.config["SESSION_COOKIE_SECURE"] = secure
    with app.app_context():
        set_cookie(response, "device", "a value", timedelta(hours=1), "/sign-in")
    header = response.headers["Set-Cookie"]
    assert all(part in header for part in ("Path=/sign-in", "HttpOnly", "SameSite=Lax", "Max-Age=3600"))
    assert ("Secure" in header) is secure
