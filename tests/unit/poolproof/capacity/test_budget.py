"""Bad configurations, each with a finding of its own; and good ones, with none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from poolproof.capacity.budget import Finding, FleetSize, Level, compute_budget, run_checks
from poolproof.capacity.server_info import ServerInfo
from poolproof.settings import PoolSettings

SERVER = ServerInfo(
    "mysql", "9.7.4", wait_timeout=28800, max_connections=151, max_used_connections=20, foreign_connections=3
)  # fmt: skip
FLEET = FleetSize(workers=2, threads=8, background_processes=1)
WITH_WRITER = replace(FLEET, has_writer=True)


def settings(**values: Any) -> PoolSettings:
    return PoolSettings(**values)


def finding(check: str, fleet: FleetSize = FLEET, server: ServerInfo = SERVER, **pool: Any) -> Finding:
    return next(entry for entry in run_checks(fleet, settings(**pool), server) if entry.check == check)


def test_the_defaults_on_an_ordinary_server_are_all_well() -> None:
    assert {entry.level for entry in run_checks(FLEET, settings(), SERVER)} == {Level.OK}


def test_the_budget_is_shown_with_its_arithmetic() -> None:
    assert finding("max_connections").sentence == (
        "2 workers × (8 interactive + 2 background + 1 console) × 2 while reloading + 1 background processes × 3 "
        "+ 2 in reserve = 49; max_connections = 151 − 3 of others = 148."
    )


def test_a_fleet_with_group_commit_counts_a_writer_in_each_worker() -> None:
    assert finding("max_connections", WITH_WRITER).sentence == (
        "2 workers × (8 interactive + 2 background + 1 console + 1 writer) × 2 while reloading "
        "+ 1 background processes × 3 + 2 in reserve = 53; max_connections = 151 − 3 of others = 148."
    )
    tight = replace(SERVER, max_connections=36)
    assert "POOL_SIZE to 3 or less" in finding("max_connections", WITH_WRITER, server=tight).remedy
    assert finding("max_connections", WITH_WRITER, server=tight, size=3).level is Level.OK
    assert finding("max_connections", WITH_WRITER, server=tight, size=4).level is Level.FAIL


@pytest.mark.parametrize(
    ("pool", "at_most"),
    [
        ({}, 22),
        ({"size": 3}, 12),
        ({"size": 3, "max_overflow": 2}, 16),
        ({"pool_class": "null"}, 22),
        ({"background_size": 4}, 26),
        ({"pool_class": "null", "max_connections_per_request": 2}, 38),
    ],
)
def test_the_workers_open_at_most_what_their_lanes_allow(pool: dict[str, object], at_most: int) -> None:
    assert compute_budget(FLEET, settings(**pool)).workers_total == at_most


@pytest.mark.parametrize(("allowed", "level"), [(52, Level.OK), (51, Level.FAIL)])
def test_the_last_connection_decides(allowed: int, level: Level) -> None:
    assert finding("max_connections", server=replace(SERVER, max_connections=allowed)).level is level


def test_the_remedy_that_is_named_is_enough() -> None:
    tight = replace(SERVER, max_connections=36)
    remedy = finding("max_connections", server=tight).remedy
    assert "Raise max_connections to 52 or more" in remedy
    assert "POOL_SIZE to 4 or less" in remedy
    assert finding("max_connections", server=replace(tight, max_connections=52)).level is Level.OK
    assert finding("max_connections", server=tight, size=4).level is Level.OK
    assert finding("max_connections", server=tight, size=5).level is Level.FAIL


@pytest.mark.parametrize(
    ("check", "level", "words", "server", "pool"),
    [
        ("max_user_connections", Level.FAIL, "max_user_connections = 20", {"max_user_connections": 20}, {}),
        ("wait_timeout", Level.FAIL, "POOL_RECYCLE is 60 s", {"wait_timeout": 30}, {"recycle": 60}),
        ("read_only", Level.FAIL, "read-only", {"read_only": True}, {}),
        ("privileges", Level.WARN, "keeps free for the administrator", {"is_administrator": True}, {}),
        ("refused", Level.WARN, "7 connections were refused", {"refused": 7}, {}),
        ("overflow", Level.WARN, "opened and closed by turns", {}, {"max_overflow": 4}),
        ("waiting", Level.FAIL, "shedding is off", {}, {"size": 3, "codel_target": 0}),
        (
            "nesting",
            Level.FAIL,
            "8 request threads × (2 connections at once − 1) + 1 = 9",
            {},
            {"max_connections_per_request": 2, "size": 8},
        ),
    ],
)
def test_each_bad_configuration_has_a_finding_of_its_own(
    check: str, level: Level, words: str, server: dict[str, Any], pool: dict[str, Any]
) -> None:
    result = finding(check, server=replace(SERVER, **server), **pool)
    assert result.level is level
    assert words in result.sentence
    others = [entry for entry in run_checks(FLEET, settings(**pool), replace(SERVER, **server)) if entry.check != check]
    assert {entry.level for entry in others} == {Level.OK}


def test_fewer_connections_than_threads_are_well_while_shedding_is_on() -> None:
    assert finding("waiting", size=3).level is Level.OK


def test_sqlite_has_no_limit_of_connections() -> None:
    findings = run_checks(FLEET, settings(), ServerInfo("sqlite", "3.40"))
    assert {entry.level for entry in findings} == {Level.OK}
