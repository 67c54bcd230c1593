"""What a client says about the way its request came: believed of trusted proxies only, by the running service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from webapp.lab.services.poolproof_service import PoolproofService, run_poolproof_service

EVIL = "evil.example"
FORGED = {
    "SCRIPT_NAME": f"//{EVIL}", "Script-Name": f"//{EVIL}", "PATH_INFO": "/sign-in", "X-Forwarded-Prefix": f"//{EVIL}",
    "X-Forwarded-Proto": "https", "X-Forwarded-Protocol": "ssl", "X-Forwarded-Ssl": "on",
}  # fmt: skip


@pytest.fixture(scope="module", params=["poolproof", "gthread"])
def worker_class(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture(scope="module")
def direct(worker_class: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PoolproofService]:
    """A service without proxies in front of it."""
    folder = tmp_path_factory.mktemp("direct")
    url = f"sqlite:///{folder / 'direct.sqlite'}"
    with run_poolproof_service(
        url, folder, POOLPROOF_WORKERS="1", POOLPROOF_WORKER_CLASS=worker_class, POOLPROOF_LOG_FORMAT="json"
    ) as service:
        yield service


def page(service: PoolproofService, **headers: str) -> httpx2.Response:
    slug = httpx2.get(f"{service.address}/api/v1/quizzes").json()["quizzes"][0]["slug"]
    return httpx2.get(f"{service.address}/quizzes/{slug}", headers=headers, follow_redirects=False)


def test_without_a_proxy_nothing_of_it_is_believed_and_nobody_else_sees_it(direct: PoolproofService) -> None:
    forged, next_visitors = page(direct, **FORGED), page(direct)
    for response in (forged, next_visitors):
        assert response.status_code == 200
        assert EVIL not in response.text + str(response.headers)
        assert "Strict-Transport-Security" not in response.headers, "it did not come by HTTPS"
    assert forged.text == next_visitors.text


def test_a_trusted_proxy_tells_the_scheme_and_no_prefix(worker_class: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'behind.sqlite'}"
    settings = {"POOLPROOF_WORKERS": "1", "POOLPROOF_TRUSTED_PROXIES": "1", "POOLPROOF_WORKER_CLASS": worker_class}
    with run_poolproof_service(url, tmp_path, **settings) as service:
        response = page(service, **FORGED)
        assert response.status_code == 200
        assert "Strict-Transport-Security" in response.headers
        assert EVIL not in response.text + str(response.headers)
