"""A scope gives a request its deadline and its name, and takes back its connections, in whatever way it is answered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from poolproof import deadlines
from poolproof.integrations.request_scope import RequestScopes
from poolproof.leaks.checkouts import current_request
from poolproof.transactions import outcomes
from poolproof.transactions.outcomes import WriteOutcome
from tests.unit.poolproof.integrations.test_wsgi import Site

SCOPES = RequestScopes(20.0, lambda: True)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    assert site.out() == 0
    site.engine.dispose()


def test_a_connection_that_is_left_is_returned_at_the_end_and_told(site: Site) -> None:
    with SCOPES.open("GET /things") as scope:
        scope.run(site.leave_one)
        assert site.out() == 1
    assert (site.out(), [checkout.request.name for checkout in site.orphans]) == (0, ["GET /things"])
    assert scope.checkouts.statement_count == 2


def test_it_is_returned_too_when_the_request_raises(site: Site) -> None:
    def leave_and_raise() -> None:
        site.leave_one()
        raise RuntimeError

    with pytest.raises(RuntimeError), SCOPES.open() as scope:
        scope.run(leave_and_raise)
    assert len(site.orphans) == 1


def test_a_request_has_a_deadline_a_name_and_writes_of_its_own_and_the_thread_has_none_after_it() -> None:
    def look() -> None:
        current, left = current_request.get(), deadlines.remaining()
        assert current is not None
        assert left is not None
        assert (current.name, current.guard_raises, left <= 3.0) == ("GET /things", True, True)
        outcomes.record_committed()
        writes = outcomes.current_writes.get()
        assert writes is not None
        assert writes.outcome() is WriteOutcome.PARTLY_DONE

    with SCOPES.open("GET /things", 3.0) as scope:
        scope.run(look)
    assert (current_request.get(), outcomes.current_writes.get(), deadlines.remaining()) == (None, None, None)
