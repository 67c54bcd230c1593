"""Without POOLPROOF_TRUSTED_PROXIES nothing is believed that only a proxy may say, not even of a client on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from webapp.lab.services.poolproof_service import PoolproofService, run_poolproof_service


@pytest.fixture(scope="module")
def service(
    prepared_schema: Callable[[str, str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PoolproofService]:
    url = prepared_schema("sqlite", "no_proxy")
    folder: Path = tmp_path_factory.mktemp("service")
    with run_poolproof_service(url, folder, POOLPROOF_WORKERS="1") as service:
        yield service


@pytest.mark.parametrize("claim", ["X-Forwarded-Proto: https", "X-Forwarded-Ssl: on", "X-Forwarded-Protocol: ssl"])
def test_a_client_that_says_it_came_by_https_is_not_believed(service: PoolproofService, claim: str) -> None:
    name, _, value = claim.partition(": ")
    response = httpx2.get(f"{service.address}/sign-in", headers={name: value}, trust_env=False)
    assert response.status_code == 200
    assert "Strict-Transport-Security" not in response.headers


@pytest.mark.parametrize("name", ["SCRIPT_NAME", "X-Forwarded-Prefix"])
def test_a_client_that_names_a_prefix_is_not_believed(service: PoolproofService, name: str) -> None:
    response = httpx2.get(f"{service.address}/studio", headers={name: "/evil"}, trust_env=False)
    assert response.headers["Location"] == "/sign-in?next=/studio"


def test_a_client_that_names_another_host_is_not_believed(service: PoolproofService) -> None:
    response = httpx2.get(f"{service.address}/sign-in", headers={"X-Forwarded-Host": "evil.example"}, trust_env=False)
    assert "evil.example" not in response.text
