"""Faults on real servers: the fair pool stands them, and SQLAlchemy's own does not stand the first."""

from __future__ import annotations

import pytest
from sqlalchemy import URL

from poolproof.lab.drills.commands import run_drills
from poolproof.lab.drills.faults import DRILLS
from poolproof.lab.incident.rush import PoolKind, RushOptions
from tests.support.migration_starts import NewSchema
from webapp.lab.services.programs import Flavour


def test_on_postgresql_idle_connections_may_be_ended_and_a_full_pool_refuses(postgresql_url: URL) -> None:
    check(postgresql_url.render_as_string(hide_password=False), "idle-kills", "full")


@pytest.mark.soak
def test_on_postgresql_every_drill_holds_with_the_fair_pool(postgresql_url: URL) -> None:
    check(postgresql_url.render_as_string(hide_password=False), *DRILLS, timeout=5.0)


def test_on_mysql_idle_connections_may_be_ended(server_flavour: Flavour, new_schema: NewSchema) -> None:
    check(new_schema(server_flavour, "poolproof_drilled"), "idle-kills")


@pytest.mark.soak
def test_on_mysql_every_drill_holds_with_the_fair_pool(server_flavour: Flavour, new_schema: NewSchema) -> None:
    check(new_schema(server_flavour, "poolproof_drilled_all"), *DRILLS, timeout=5.0)


def check(url: str, *names: str, timeout: float = 0.3) -> None:
    results, is_complete = run_drills(names, RushOptions(url, 1, 3, 0, timeout, 0.0, 0.0))
    assert is_complete
    failed = {name: pair[PoolKind.FAIR].sentence for name, pair in results.items() if not pair[PoolKind.FAIR].passed}
    assert failed == {}
    assert not results["idle-kills"][PoolKind.STOCK].passed
    assert "3 idle connections were ended" in results["idle-kills"][PoolKind.STOCK].sentence
