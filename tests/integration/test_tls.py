"""Servers that demand TLS, offer none, or have a certificate of somebody else: one sentence says what to do."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.support import PROJECT
from webapp.lab.services.database_server import DatabaseServer, new_server
from webapp.lab.services.poolproof_service import make_environment, run_poolproof, run_poolproof_service
from webapp.lab.services.programs import Flavour

pytestmark = pytest.mark.slow(reason="each case is several starts that are refused")

SMALL = {"POOLPROOF_WORKERS": "1", "POOLPROOF_THREADS": "2"}
DEMANDED = "The server takes encrypted connections only (require_secure_transport). Set POOL_TLS=required"
REFUSED = "The server's certificate is refused"
NOT_OFFERED = "No encrypted connection can be made"
NO_TLS = {"mysql": "--tls-version=", "mariadb": "--skip-ssl"}


@pytest.fixture(scope="module")
def secure(server_flavour: Flavour, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseServer]:
    """A server that takes encrypted connections only, with certificates that it has made itself."""
    server = new_server(server_flavour, tmp_path_factory.mktemp("secure") / "server")
    server.create_database("poolproof")
    server.execute("CREATE USER player@'%' IDENTIFIED BY 'a secret'")
    server.execute("GRANT ALL ON poolproof.* TO player@'%'")
    server.execute("SET GLOBAL require_secure_transport = ON")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def foreign_authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate of an authority that has signed nothing of ours."""
    openssl, folder = shutil.which("openssl"), tmp_path_factory.mktemp("foreign")
    if openssl is None:
        pytest.skip("there is no openssl to make a certificate with")
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "9", "-subj", "/CN=foreign"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "ca.pem")]
    subprocess.run([*command, *files], check=True, capture_output=True)
    return folder / "ca.pem"


def address(server: DatabaseServer) -> str:
    return server.url("poolproof", "player", "a%20secret")


def refusals(server: DatabaseServer, folder: Path, **settings: str) -> list[str]:
    """Return what `serve`, Gunicorn alone and `doctor` say, each of which must end with 1 and no traceback."""
    environment = make_environment(address(server), folder, **SMALL, **settings)
    gunicorn = [sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py", "wsgi:app"]
    ended = [
        run_poolproof(environment, "serve"),
        run_poolproof(environment, "doctor"),
        subprocess.run(gunicorn, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False),
    ]
    for process in ended:
        assert process.returncode == 1, process.stdout + process.stderr
        assert "Traceback" not in process.stderr
        assert "a secret" not in process.stderr
    return [process.stderr for process in ended]


def test_a_server_that_demands_tls_is_named_with_the_setting(secure: DatabaseServer, tmp_path: Path) -> None:
    for message in refusals(secure, tmp_path):
        assert DEMANDED in message


def test_with_that_setting_and_its_authority_the_service_runs_encrypted(secure: DatabaseServer, tmp_path: Path) -> None:
    authority = {"POOL_TLS_CA": str(secure.tls_ca)} if secure.tls_ca.exists() else {}
    with run_poolproof_service(address(secure), tmp_path, **SMALL, POOL_TLS="required", **authority) as service:
        assert httpx2.get(f"{service.address}/readyz").status_code == 200
        assert service.run_command("doctor").returncode == 0


def test_a_certificate_of_another_authority_is_an_error_and_no_unverified_connection(
    secure: DatabaseServer, foreign_authority: Path, tmp_path: Path
) -> None:
    for message in refusals(secure, tmp_path, POOL_TLS_CA=str(foreign_authority)):
        assert REFUSED in message
        assert "Name the file of the authority that has signed it" in message


def test_a_file_without_a_certificate_is_named(secure: DatabaseServer, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for message in refusals(secure, tmp_path, POOL_TLS_CA=str(tmp_path / "ca.pem")):
        assert f"POOL_TLS_CA names {tmp_path / 'ca.pem'}, from which no certificate can be read" in message


def test_an_option_of_the_url_that_would_not_be_checked_is_refused(secure: DatabaseServer, tmp_path: Path) -> None:
    for option in ("ssl_ca=/no/such/file", "ssl=true", "ssl-mode=REQUIRED", "sslmode=require", "useSSL=true"):
        environment = make_environment(f"{address(secure)}?{option}", tmp_path, **SMALL)
        refused = run_poolproof(environment, "serve")
        assert refused.returncode == 1
        assert (
            f"DATABASE_URL has the option {option.partition('=')[0]}, which is not used: set POOL_TLS" in refused.stderr
        )
        assert "Traceback" not in refused.stderr


def test_a_server_without_tls_is_named_where_tls_is_demanded(secure: DatabaseServer, tmp_path: Path) -> None:
    secure.restart(NO_TLS[secure.flavour])
    try:
        for message in refusals(secure, tmp_path, POOL_TLS="required"):
            assert NOT_OFFERED in message
    finally:
        secure.restart()
        secure.execute("SET GLOBAL require_secure_transport = ON")
