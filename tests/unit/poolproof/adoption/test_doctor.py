"""What `flask pool doctor` finds: pools against their servers, and what was counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import create_engine

from poolproof.adoption.doctor import check_counters, check_server, limit_of, run_doctor
from poolproof.adoption.engines import adopt, adopted_lane
from poolproof.capacity.budget import Level
from poolproof.capacity.server_info import ServerInfo
from poolproof.fleet.registry import FleetSnapshot


def server(max_connections: int) -> ServerInfo:
    return ServerInfo("mysql", "9.7", max_connections=max_connections, foreign_connections=8)


def test_workers_that_fit_are_shown_with_the_sum() -> None:
    (finding,) = check_server("mysql db", 15, 2, server(70))
    assert finding.level is Level.OK
    assert "2 workers × 15 connections × 2 while reloading + 2 in reserve = 62" in finding.sentence
    assert "it allows 70, of which 62 are not reserved or others'" in finding.sentence


def test_the_narrowest_limit_counts_and_what_a_server_reserves_is_not_for_an_application() -> None:
    info = ServerInfo("postgresql", "17", max_connections=100, reserved_connections=3, max_user_connections=40)
    (finding,) = check_server("postgresql db", 15, 2, info)
    assert (finding.level, "it allows 40" in finding.sentence) == (Level.FAIL, True)
    (finding,) = check_server(
        "postgresql db", 15, 2, ServerInfo("postgresql", "17", max_connections=64, reserved_connections=3)
    )
    assert finding.level is Level.FAIL


def test_workers_that_do_not_fit_are_told_which_size_does() -> None:
    (finding,) = check_server("mysql db", 15, 2, server(69))
    assert finding.level is Level.FAIL
    assert "14 or less" in finding.remedy


def test_what_was_counted_is_said_with_a_remedy() -> None:
    counted = {"default": {"violations": {"orphaned": 3}, "timeouts": 2, "shed": 1, "refused": 0}}
    leak, rejected = check_counters(counted)
    assert "3 × orphaned" in leak.sentence
    assert "with block" in leak.remedy
    assert rejected.sentence.startswith("3 requests")


def test_a_pool_that_opens_and_closes_connections_by_turns_is_a_warning(tmp_path: Path) -> None:
    engine = adopt(create_engine(f"sqlite:///{tmp_path / 'doctor.sqlite'}"), "books")
    lanes = [adopted_lane(engine)]
    pool, limits = run_doctor(lanes, FleetSnapshot(), workers=2)
    assert limit_of(lanes) == 15
    assert (pool.level, limits.level) == (Level.WARN, Level.OK)
    assert "pool_size=15" in pool.remedy
    engine.dispose()


def test_the_limits_of_the_server_are_read(database: str, new_schema: Callable[[str, str], str]) -> None:
    engine = adopt(create_engine(new_schema(database, "doctor"), pool_size=1, max_overflow=0), "books")
    pool, limits = run_doctor([adopted_lane(engine)], FleetSnapshot(), workers=1)
    assert (pool.level, limits.level) == (Level.OK, Level.OK)
    assert ("no limit" in limits.sentence) == (database == "sqlite")
    engine.dispose()
