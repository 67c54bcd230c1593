"""An author behind a proxy that compresses whatever it can, as Debian's nginx does when it is told so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from tests.integration.fleet import eventually
from webapp.lab.services.debian import loader_command, unpack_packages
from webapp.lab.services.poolproof_service import PoolproofService, run_poolproof_service
from webapp.lab.services.processes import HOST, free_port, start, stop

CONFIGURATION = """
{user} pid {folder}/pid; error_log {folder}/error.log; daemon off;
events {{ }}
http {{
  access_log off; {temporary}
  gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any;
  server {{ listen {host}:{port}; location / {{ proxy_pass http://{host}:{service}; }} }}
}}
"""
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
STOP_TIMEOUT = 30.0


@pytest.fixture
def service(prepared_schema: Callable[[str, str], str], tmp_path: Path) -> Iterator[PoolproofService]:
    url = prepared_schema("sqlite", "compressing_proxy")
    with run_poolproof_service(url, tmp_path / "service", POOLPROOF_WORKERS="1") as service:
        yield service


@pytest.fixture
def client(service: PoolproofService, tmp_path: Path) -> Iterator[httpx2.Client]:
    """A client that reaches the service through nginx."""
    root, port = unpack_packages("nginx", "nginx"), free_port()
    temporary = " ".join(f"{name}_temp_path {tmp_path}/{name};" for name in TEMPORARY)
    user = "user root;" if Path("/proc/self").stat().st_uid == 0 else ""
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(
        CONFIGURATION.format(
            user=user, folder=tmp_path, temporary=temporary, host=HOST, port=port, service=service.port
        )
    )
    command = [*loader_command(root, root / "usr" / "sbin" / "nginx"), "-c", str(configuration)]
    process = start("nginx", [*command, "-e", str(tmp_path / "error.log")], tmp_path / "output")
    try:
        with httpx2.Client(base_url=f"http://{HOST}:{port}", timeout=30, trust_env=False) as client:
            eventually(lambda: answers(client), tmp_path / "error.log")
            yield client
    finally:
        assert stop(process, STOP_TIMEOUT)


def answers(client: httpx2.Client) -> bool:
    try:
        return client.get("/healthz").status_code == 200
    except httpx2.TransportError:
        return False


def test_what_was_read_compressed_can_be_changed(client: httpx2.Client, service: PoolproofService) -> None:
    token = client.post("/api/v1/tokens", json={"name": "author", "password": service.password}).json()["token"]
    author = {"Authorization": f"Bearer {token}"}
    body = {"title": "Compressed", "description": "long " * 200}
    address = f"/api/v1/quizzes/{client.post('/api/v1/quizzes', json=body, headers=author).json()['id']}/draft"
    for title in ("Once", "Twice"):
        read = client.get(address, headers=author)
        assert (read.headers["Content-Encoding"], read.headers["ETag"][:3]) == ("gzip", 'W/"')
        match = author | {"If-Match": read.headers["ETag"]}
        changed = client.put(address, json=body | {"title": title}, headers=match)
        assert (changed.status_code, changed.json()["title"]) == (200, title)
        # The same tag again names the version before.
        assert client.put(address, json=body, headers=match).status_code == 412
