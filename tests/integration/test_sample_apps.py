"""Applications as others write them: with the stock pool they fail, with the lines of our pages they do not.

Forty threads on four connections, each held for 20 ms, with a time-out of one second.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import URL

from tests.apps.checks import Open, check_full_pool, check_leaks, check_pools, check_session, opened, press

NAMES = ("factory", "old_style", "binds", "core_session", "fastapi_sync", "one_liner")
WATCHED = NAMES[:-1]
"""Those whose lines bring leak reports and 503; the pool alone is only fair."""
ON_POSTGRESQL = ("core_session", "fastapi_sync")


@pytest.fixture
def open_sample(database: str, new_schema: Callable[[str, str], str]) -> Iterator[Open]:
    with opened(new_schema(database, "sample"), new_schema(database, "sample_other")) as make:
        yield make


@pytest.fixture
def open_on_postgresql(postgresql_url: URL) -> Iterator[Open]:
    """Make applications on each of the two drivers of PostgreSQL."""
    url = postgresql_url.render_as_string(hide_password=False)
    with opened(url, url) as make:
        yield make


@pytest.mark.parametrize("name", NAMES)
def test_with_the_stock_pool_requests_fail_and_some_get_less_than_others(
    open_sample: Open, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    got = press(open_sample(name, adopted=False))
    assert got.failed > 0
    assert not got.is_even()


@pytest.mark.parametrize("name", NAMES)
def test_with_the_documented_lines_none_fails_and_all_are_served_alike(
    open_sample: Open, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    got = press(open_sample(name, adopted=True))
    assert got.failed == 0
    assert got.is_even()


@pytest.mark.parametrize("name", NAMES)
def test_a_session_is_what_it_is_with_the_stock_pool_and_a_rollback_rolls_back(open_sample: Open, name: str) -> None:
    check_session(open_sample, name)


@pytest.mark.parametrize("name", WATCHED)
def test_three_leaks_are_three_reports_each_with_the_applications_own_line(
    open_sample: Open, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    check_leaks(open_sample(name, adopted=True), name, caplog)


@pytest.mark.parametrize("name", WATCHED)
def test_a_full_pool_is_503_with_retry_after(open_sample: Open, name: str) -> None:
    check_full_pool(open_sample(name, adopted=True))


@pytest.mark.parametrize("name", NAMES)
def test_every_engine_has_the_fair_pool_with_the_options_of_the_application_also_after_dispose(
    open_sample: Open, name: str
) -> None:
    check_pools(open_sample(name, adopted=True))


def test_binds_on_two_kinds_of_servers_are_each_watched_under_their_name(
    database: str, new_schema: Callable[[str, str], str], postgresql_url: URL, caplog: pytest.LogCaptureFixture
) -> None:
    archive = postgresql_url.render_as_string(hide_password=False)
    with opened(new_schema(database, "sample"), archive) as make:
        check_session(make, "binds")
        sample = make("binds", adopted=True)
        check_leaks(sample, "binds", caplog)
        check_full_pool(sample)
        metrics = sample.get("/metrics").text
    lanes = re.findall(r"of the (\w+) lane is orphaned", caplog.text)
    assert lanes == ["archive", "archive", "default"]
    for name in ("archive", "default"):
        assert f'poolproof_pool_violations_total{{db_client_connection_pool_name="{name}",kind="orphaned"}}' in metrics


@pytest.mark.parametrize("name", ON_POSTGRESQL)
def test_on_postgresql_requests_fail_with_the_stock_pool_and_none_with_the_documented_lines(
    open_on_postgresql: Open, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    stock, ours = (press(open_on_postgresql(name, adopted=adopted)) for adopted in (False, True))
    assert stock.failed > 0
    assert (ours.failed, ours.is_even()) == (0, True)


@pytest.mark.parametrize("name", ON_POSTGRESQL)
def test_on_postgresql_sessions_leaks_and_a_full_pool_are_as_elsewhere(
    open_on_postgresql: Open, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    check_session(open_on_postgresql, name)
    sample = open_on_postgresql(name, adopted=True)
    check_leaks(sample, name, caplog)
    check_full_pool(sample)
    check_pools(sample)
