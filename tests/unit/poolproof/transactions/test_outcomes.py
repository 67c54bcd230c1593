"""What is known of a request's writes, by units of work on each database; lost replies: test_lost_replies."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from typing import Any

import pymysql
import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, OperationalError

from poolproof.transactions import outcomes
from poolproof.transactions.outcomes import RequestWrites, WriteOutcome
from poolproof.transactions.unit_of_work import UnitOfWork

WRITE = text("UPDATE item SET category = category WHERE id = -1")
READ = text("SELECT COUNT(*) FROM item")
WRONG = text("UPDATE item SET no_such_column = 1")


class InterruptedByTestError(BaseException):
    """As KeyboardInterrupt, which would end the run."""


def outcome_of(request: Callable[[], None]) -> WriteOutcome:
    """Return what is known after a request that runs in a context of its own."""
    writes = RequestWrites()
    context = Context()
    context.run(outcomes.current_writes.set, writes)
    context.run(request)
    return writes.outcome()


def execute(connection: Connection, *statements: Any) -> None:
    for statement in statements:
        connection.execute(statement)


def failing(work: UnitOfWork, *statements: Any) -> None:
    with pytest.raises(DBAPIError), work.transaction() as connection:
        execute(connection, *statements, WRONG)


def test_a_transaction_that_fails_has_done_nothing(work: UnitOfWork) -> None:
    assert outcome_of(lambda: failing(work, WRITE, WRITE)) is WriteOutcome.NOT_DONE


def test_what_an_earlier_transaction_has_committed_is_a_part_that_is_done(work: UnitOfWork) -> None:
    def request() -> None:
        with work.transaction() as connection:
            connection.execute(WRITE)
        failing(work, WRITE)

    assert outcome_of(request) is WriteOutcome.PARTLY_DONE


def test_a_transaction_that_only_reads_has_changed_nothing(work: UnitOfWork) -> None:
    def request() -> None:
        with work.transaction() as connection:
            connection.execute(READ)
        with work.read() as connection:
            connection.execute(READ)
        work.run_in_transaction(lambda connection: connection.execute(READ).scalar_one())
        failing(work)

    assert outcome_of(request) is WriteOutcome.NOT_DONE


def test_each_statement_in_autocommit_mode_is_done_or_not(work: UnitOfWork) -> None:
    def one_that_fails() -> None:
        with pytest.raises(DBAPIError), work.autocommit() as connection:
            connection.execute(WRONG)

    def the_second_fails() -> None:
        with pytest.raises(DBAPIError), work.autocommit() as connection:
            execute(connection, WRITE, WRONG)

    def one() -> None:
        with work.autocommit() as connection:
            connection.execute(READ)
            connection.execute(WRITE)

    assert outcome_of(one_that_fails) is WriteOutcome.NOT_DONE
    assert outcome_of(the_second_fails) is WriteOutcome.PARTLY_DONE
    assert outcome_of(one) is WriteOutcome.PARTLY_DONE


def test_units_of_work_of_other_threads_and_commands_have_nothing_to_record(work: UnitOfWork) -> None:
    def request() -> None:
        Context().run(failing, work, WRITE)
        Context().run(lambda: work.run_in_transaction(lambda connection: connection.execute(WRITE).rowcount))

    assert outcome_of(request) is WriteOutcome.NOT_DONE


def test_what_was_committed_elsewhere_or_undone_can_be_recorded() -> None:
    assert outcome_of(outcomes.record_committed) is WriteOutcome.PARTLY_DONE

    def undone() -> None:
        outcomes.record_committed()
        outcomes.record_undone()

    assert outcome_of(undone) is WriteOutcome.NOT_DONE


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (pymysql.err.OperationalError(2013, "Lost connection"), WriteOutcome.UNKNOWN),
        (pymysql.err.OperationalError(2006, "Gone away"), WriteOutcome.UNKNOWN),
        (pymysql.err.OperationalError(1053, "Shutdown"), WriteOutcome.UNKNOWN),
        (pymysql.err.InternalError("Packet sequence number wrong"), WriteOutcome.UNKNOWN),
        (InterruptedByTestError(), WriteOutcome.UNKNOWN),
        (pymysql.err.OperationalError(1213, "Deadlock"), WriteOutcome.NOT_DONE),
        (pymysql.err.OperationalError(1290, "Read-only"), WriteOutcome.NOT_DONE),
        (pymysql.err.InterfaceError(0, ""), WriteOutcome.NOT_DONE),
    ],
)
def test_only_a_commit_without_a_reply_is_not_known(
    work: UnitOfWork, monkeypatch: pytest.MonkeyPatch, error: BaseException, expected: WriteOutcome
) -> None:
    if work.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no reply that could be lost")

    def commit(connection: Connection) -> None:
        Connection.rollback(connection)
        raise OperationalError("COMMIT", {}, error) if isinstance(error, Exception) else error

    def request() -> None:
        with pytest.raises(BaseException, match=r".*"), work.transaction() as connection:
            connection.execute(WRITE)

    with monkeypatch.context() as patch:
        patch.setattr(Connection, "commit", commit)
        assert outcome_of(request) is expected


def test_an_uncertain_attempt_whose_repeat_was_committed_is_done(work: UnitOfWork) -> None:
    def request() -> None:
        with outcomes.repeated():
            current = outcomes.current_writes.get()
            assert current is not None
            current.is_uncertain = True
        work.run_in_transaction(lambda connection: connection.execute(WRITE).rowcount)

    assert outcome_of(request) is WriteOutcome.PARTLY_DONE


@pytest.mark.parametrize(
    ("statement", "is_read"),
    [("SELECT 1", True), ("  select 1", True), ("(SELECT 1)", True), ("INSERT INTO item VALUES (1)", False),
     ("UPDATE item SET id = 1", False), ("LOAD DATA LOCAL INFILE", False), ("BEGIN", True)],
)  # fmt: skip
def test_a_statement_reads_or_writes(statement: str, *, is_read: bool) -> None:
    assert outcomes.is_read(statement) is is_read
