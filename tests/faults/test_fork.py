"""A process that forks: parent and child never share a connection, and neither says goodbye for the other."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, text

from tests.faults.test_freshness import SIZE, identities, identity, new_engine
from tests.servers import Server


@pytest.fixture
def engine(server: Server) -> Iterator[Engine]:
    engine = new_engine(server.url("poolproof"))
    yield engine
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    engine.dispose()


def in_a_child(deed: Callable[[], object]) -> object:
    """Fork, do it there, and return what it returned."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # Python warns of forks in a process with threads: that is what is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        try:
            said = json.dumps(deed())
        except BaseException as error:  # noqa: BLE001 - the child must end here, whatever happens
            said = json.dumps(repr(error))
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    return json.loads(said)


def alive(server: Server) -> set[int]:
    return {number for (number,) in server.execute("SELECT id FROM information_schema.processlist")}


def test_a_fork_before_the_first_connect_gives_each_its_own(engine: Engine) -> None:
    childs = in_a_child(lambda: sorted(identities(engine)))
    assert isinstance(childs, list)
    assert len(childs) == SIZE
    assert not identities(engine) & set(childs)


def test_a_fork_after_the_first_connect_leaves_the_parents_connections_to_the_parent(
    server: Server, engine: Engine
) -> None:
    before = identities(engine)
    childs = in_a_child(lambda: sorted(identities(engine)))
    assert isinstance(childs, list)
    assert not before & set(childs)
    assert before <= alive(server), "the child said goodbye in the parent's name"
    assert identities(engine) == before


def test_a_connection_that_was_out_at_the_fork_stays_the_parents(server: Server, engine: Engine) -> None:
    with engine.connect() as connection:
        number = identity(connection)
        connection.execute(text("SET @parents = 1"))
        childs = in_a_child(lambda: sorted(identities(engine)))
        assert isinstance(childs, list)
        assert number not in childs
        assert connection.execute(text("SELECT @parents")).scalar_one() == 1


def test_a_child_that_ends_in_order_says_goodbye_only_for_itself(server: Server, engine: Engine) -> None:
    before = identities(engine)

    def end_in_order() -> list[int]:
        own = sorted(identities(engine))
        engine.dispose()
        return own

    childs = in_a_child(end_in_order)
    assert isinstance(childs, list)
    assert before <= alive(server)
    assert not set(childs) & alive(server)
