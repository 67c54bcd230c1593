"""The line that called into the database layer, without the layer's own frames."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, render_template_string, signals
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from poolproof.integrations.flask_ext import PoolingState
from poolproof.leaks import call_site
from poolproof.leaks.checkout_registry import CheckoutRegistry, track_checkouts
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


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = create_engine("sqlite://")
    yield engine
    engine.dispose()


@pytest.fixture
def registry(engine: Engine) -> CheckoutRegistry:
    return track_checkouts(engine, "test")


def site_of(registry: CheckoutRegistry) -> str:
    (checkout,) = registry.live()
    return call_site.format_site(checkout.stack)


def test_a_checkout_of_a_session_is_named_by_the_applications_line_and_not_by_generated_code(
    engine: Engine, registry: CheckoutRegistry
) -> None:
    sessions = scoped_session(sessionmaker(engine))
    sessions.scalar(text("SELECT 1"))
    assert re.fullmatch(rf"{THIS_FILE}:\d+ in test_a_checkout_of_a_session\w+", site_of(registry))
    sessions.remove()


def test_what_a_template_reads_is_named_by_the_line_that_renders_it(engine: Engine, registry: CheckoutRegistry) -> None:
    session = Session(engine)
    with Flask("templates").app_context():
        assert render_template_string("{{ read() }}", read=lambda: session.scalar(text("SELECT 1"))) == "1"
    assert re.match(THIS_FILE, site_of(registry))
    with Flask("templates").app_context():
        rendered = render_template_string("{{ site() }}", site=call_site.current_site)
    assert re.match(rf"{THIS_FILE}:\d+ in test_what_a_template_reads", rendered)
    session.close()


def test_what_a_signal_calls_is_named_by_its_receiver(engine: Engine, registry: CheckoutRegistry) -> None:
    connections: list[Any] = []

    def receiver(sender: object) -> None:
        connections.append(engine.connect())

    with signals.request_started.connected_to(receiver):
        signals.request_started.send("anybody")
    assert re.fullmatch(rf"{THIS_FILE}:\d+ in receiver", site_of(registry))
    connections.pop().close()


def test_a_library_that_calls_for_itself_is_named_by_what_has_called_it(
    engine: Engine, registry: CheckoutRegistry
) -> None:
    frozen: dict[str, Any] = {"engine": engine, "__name__": "flask.generated"}
    exec("def connect(): return engine.connect()", frozen)  # noqa: S102 - as libraries make code
    connection = frozen["connect"]()
    assert re.match(THIS_FILE, site_of(registry))
    connection.close()


def test_a_program_that_is_given_to_exec_and_nothing_else_is_still_named(
    engine: Engine, registry: CheckoutRegistry
) -> None:
    typed: dict[str, Any] = {"engine": engine, "__name__": "__main__", "connections": []}
    code = compile("connections.append(engine.connect())", "<stdin>", "exec")
    # Without a frame of a file outside of it, as where Python is given a program to execute.
    thread = threading.Thread(target=exec, args=(code, typed))
    thread.start()
    thread.join()
    assert site_of(registry) == "<stdin>:1 in <module>"
    typed["connections"].pop().close()
