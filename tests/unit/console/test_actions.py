"""What an operator is asked to confirm."""

from __future__ import annotations

import pytest

from poolproof.capacity.budget import FleetSize
from tests.unit.console.test_diagnosis import fleet, holder, worker
from webapp.console.actions import prepare
from webapp.errors import NotFoundError

SIZE = FleetSize(2, 8)


def test_the_question_names_the_holder_that_the_operator_has_seen_and_nobody_else() -> None:
    process = worker(1)
    seen = holder(process, checkout=100)
    values = {"process": process.key, "connection": str(seen.id), "checkout": str(seen.checkout)}
    asked = prepare(fleet(processes=[process], holders=[seen]), "end", values, SIZE)
    assert seen.name in asked.question
    assert asked.values == values
    # The same connection, lent again meanwhile.
    later = fleet(processes=[process], holders=[holder(process, checkout=101, name="GET studio.items")])
    with pytest.raises(NotFoundError, match="is back in its pool already"):
        prepare(later, "end", values, SIZE)


def test_a_holder_is_not_named_by_its_connection_alone() -> None:
    process = worker(1)
    view = fleet(processes=[process], holders=[holder(process)])
    with pytest.raises(NotFoundError):
        prepare(view, "end", {"process": process.key, "connection": str(view.holders[0].id)}, SIZE)
