"""A server or an account with which the service cannot work: it does not start, and one sentence says why."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from tests.integration.test_connections import serve
from tests.support.commands import called
from tests.support.server_configurations import ACCOUNT, LEAST_PRIVILEGES, PASSWORD, SERVICE_PRIVILEGES, grant, url_of
from webapp.lab.services.database_server import DatabaseServer
from webapp.lab.services.poolproof_service import run_poolproof_service

WITHOUT_WRITES = "SELECT, CREATE, ALTER, DROP, INDEX, REFERENCES"


@pytest.fixture
def account(server: DatabaseServer) -> str:
    """The address of the schema with an account that may do nothing yet."""
    server.execute("DROP USER IF EXISTS %s@'%%'", (ACCOUNT,))
    server.execute("CREATE USER %s@'%%' IDENTIFIED BY %s", (ACCOUNT, PASSWORD))
    return url_of(server)


def test_an_account_that_cannot_store_anything_is_told_which_privileges_it_lacks(
    server: DatabaseServer, prepared: None, account: str, tmp_path: Path
) -> None:
    grant(server, WITHOUT_WRITES)
    doctor = called(account, tmp_path, "doctor")
    assert doctor.returncode == 1
    assert "The account lacks INSERT, UPDATE, DELETE on its schema" in doctor.stdout
    refused = serve(account, tmp_path)
    assert refused.returncode == 1
    assert "The account lacks INSERT, UPDATE, DELETE on its schema" in refused.stderr
    assert "GRANT INSERT, UPDATE, DELETE on the schema" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_service_whose_tables_are_current_needs_four_privileges(
    server: DatabaseServer, prepared: None, account: str, tmp_path: Path
) -> None:
    assert LEAST_PRIVILEGES.startswith(SERVICE_PRIVILEGES)
    grant(server, SERVICE_PRIVILEGES)
    with run_poolproof_service(account, tmp_path, POOLPROOF_WORKERS="1", POOLPROOF_THREADS="2") as service:
        assert httpx2.get(f"{service.address}/readyz").status_code == 200
        author = {"name": "author", "password": service.password}
        assert httpx2.post(f"{service.address}/api/v1/tokens", json=author).status_code == 201


@pytest.mark.parametrize("privileges", ["SELECT", "CREATE, SELECT"])
def test_an_account_that_cannot_make_the_tables_is_told_so_by_the_server(
    server: DatabaseServer, account: str, tmp_path: Path, privileges: str
) -> None:
    server.execute("DROP DATABASE poolproof")
    server.create_database("poolproof")
    grant(server, privileges)
    refused = serve(account, tmp_path)
    assert refused.returncode == 1
    assert "Error: The database refused:" in refused.stderr
    assert "Traceback" not in refused.stderr
