"""The blueprints: metrics, and the page of the pools, which is closed unless its guard opens it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from poolproof import console_blueprint, metrics_blueprint
from tests.unit.poolproof.integrations.site import site


@pytest.mark.parametrize(
    ("guard", "status"), [(None, 404), (lambda: False, 404), (lambda: True, 200)], ids=["none", "closed", "open"]
)
def test_the_page_is_closed_without_a_guard_that_opens_it(
    tmp_path: Path, guard: Callable[[], bool] | None, status: int
) -> None:
    with site(tmp_path) as (app, _):
        app.register_blueprint(console_blueprint(guard))
        for address in ("/pools", "/pools/"):
            reply = app.test_client().get(address)
            assert reply.status_code == status
            assert ("books" in reply.text) == (status == 200)


def test_the_page_names_who_holds_a_connection_while_the_pool_is_full(tmp_path: Path) -> None:
    with site(tmp_path) as (app, engines):
        app.register_blueprint(console_blueprint(lambda: True), url_prefix="/admin/pools")
        with engines["books"].connect():
            app.test_client().get("/")
            page = app.test_client().get("/admin/pools")
        assert "integrations/test_flask_blueprints.py:" in page.text
        assert "1 requests got no connection in time" in page.text
        assert "default-src &#39;none&#39;" not in page.headers["Content-Security-Policy"]
        assert page.headers["Cache-Control"] == "no-store"


def test_metrics_are_labelled_by_engine_in_both_formats(tmp_path: Path) -> None:
    with site(tmp_path) as (app, _):
        app.register_blueprint(metrics_blueprint())
        client = app.test_client()
        client.get("/")
        plain = client.get("/metrics")
        opened = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
        for name in ("books", "archive"):
            assert f'db_client_connection_max{{db_client_connection_pool_name="{name}"}} 1\n' in plain.text
        assert plain.mimetype == "text/plain"
        assert opened.text.endswith("# EOF\n")
