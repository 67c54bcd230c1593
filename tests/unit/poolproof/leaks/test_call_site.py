"""The line that called into the database layer, without the layer's own frames."""

from __future__ import annotations

import re
import threading

from sqlalchemy import text

from poolproof.integrations.flask_ext import PoolingState
from poolproof.leaks import call_site
from poolproof.transactions.unit_of_work import UnitOfWork

THIS_FILE = r"poolproof/leaks/test_call_site\.py"


def test_the_line_that_calls_is_named_with_its_function() -> None:
    assert re.fullmatch(
        rf"{THIS_FILE}:\d+ in test_the_line_that_calls_is_named_with_its_function", call_site.current_site()
    )


def test_a_checkout_is_named_by_the_line_that_asked_for_it_and_not_by_the_layer(
    pooling: PoolingState, work: UnitOfWork
) -> None:
    with work.read() as connection:
        connection.execute(text("SELECT 1"))
        (checkout,) = pooling.lanes.interactive.leak_detector.checkouts.live()
        assert re.match(THIS_FILE, call_site.format_site(checkout.stack))


def test_a_stack_is_kept_from_the_inside_and_only_so_deep() -> None:
    def recurse(depth: int) -> call_site.Stack:
        return recurse(depth - 1) if depth else call_site.capture()

    stack = recurse(2 * call_site.MAX_FRAMES)
    assert len(stack) == call_site.MAX_FRAMES
    assert all(line.endswith(" in recurse") for line in call_site.format_stack(stack))


def test_an_empty_stack_is_an_unknown_place() -> None:
    assert call_site.format_site(()) == "an unknown place"


def test_what_another_thread_executes_is_told_while_it_lives() -> None:
    may_end = threading.Event()
    thread = threading.Thread(target=may_end.wait)
    thread.start()
    where = call_site.format_thread(thread.ident)
    may_end.set()
    thread.join()
    assert "threading.py" in where
    assert call_site.format_thread(None) == ""
