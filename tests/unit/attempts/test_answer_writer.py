from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import Connection, delete, event, select

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.waiting import wait_until
from webapp.attempts import answer_store, attempt_start, batch_writes, tokens
from webapp.attempts.answer_writer import AnswerWriter
from webapp.attempts.batch_writes import FinishAttempt, SaveAnswers
from webapp.attempts.models import Answer, Attempt
from webapp.attempts.tokens import AttemptClaim
from webapp.errors import AttemptExistsError, AttemptFinishedError, BusyError, DomainError, QuizNotOpenError
from webapp.lab.factories import make_quiz
from webapp.quizzes import publishing
from webapp.quizzes.published import PublishedVersion


@pytest.fixture
def writer(work: UnitOfWork) -> Iterator[AnswerWriter]:
    writer = AnswerWriter(work, timeout=10)
    yield writer
    writer.group_commit.stop()


@pytest.fixture
def quiz(work: UnitOfWork) -> PublishedVersion:
    return make_quiz(work, questions=4)


def start(quiz: PublishedVersion) -> AttemptClaim:
    return attempt_start.begin_attempt(quiz, tokens.new_player_id(), "Ada")


def items(quiz: PublishedVersion) -> list[int]:
    return [question.item_id for question in quiz.document.questions]


def stored(work: UnitOfWork) -> dict[tuple[object, int], int]:
    with work.read() as connection:
        rows = connection.execute(select(Answer.attempt_id, Answer.item_id, Answer.chosen))
        return {(row.attempt_id, row.item_id): row.chosen for row in rows}


def test_answers_of_many_at_once_are_all_stored(work: UnitOfWork, writer: AnswerWriter, quiz: PublishedVersion) -> None:
    claims = [start(quiz) for _ in range(12)]

    def play(claim: AttemptClaim) -> None:
        for item in items(quiz):
            writer.save(claim, quiz, {item: 1})

    with ThreadPoolExecutor(12) as players:
        list(players.map(play, claims))
    assert stored(work) == {(claim.attempt_id, item): 1 for claim in claims for item in items(quiz)}
    assert sum(writer.group_commit.batch_sizes.values()) < 12 * 4


def test_fifty_identical_answers_at_once_are_one_row(
    work: UnitOfWork, writer: AnswerWriter, quiz: PublishedVersion
) -> None:
    claim, item = start(quiz), items(quiz)[0]
    with ThreadPoolExecutor(50) as senders:
        list(senders.map(lambda _: writer.save(claim, quiz, {item: 2}), range(50)))
    assert stored(work) == {(claim.attempt_id, item): 2}


def test_fifty_finishes_at_once_give_one_result(work: UnitOfWork, writer: AnswerWriter, quiz: PublishedVersion) -> None:
    claim = start(quiz)
    right = {question.item_id: 1 << question.right[0] for question in quiz.document.questions}
    writer.save(claim, quiz, right)
    with ThreadPoolExecutor(50) as senders:
        outcomes = set(senders.map(lambda _: writer.finish(claim, quiz.document).milliseconds, range(50)))
    again = writer.finish(claim, quiz.document)
    assert outcomes == {again.milliseconds}
    assert again.score == 4


def test_the_later_of_two_answers_in_one_batch_counts(
    work: UnitOfWork, writer: AnswerWriter, quiz: PublishedVersion
) -> None:
    claim, item = start(quiz), items(quiz)[0]
    for bits in (1, 2, 4, 1):
        writer.save(claim, quiz, {item: bits})
    assert stored(work) == {(claim.attempt_id, item): 1}


def test_one_who_may_not_is_told_and_the_others_are_stored(
    work: UnitOfWork, writer: AnswerWriter, quiz: PublishedVersion
) -> None:
    finished, player = start(quiz), start(quiz)
    writer.save(finished, quiz, {items(quiz)[0]: 1})
    writer.finish(finished, quiz.document)
    twice = replace(start(quiz), player_id=player.player_id)
    writer.save(player, quiz, {items(quiz)[0]: 1})
    others = [start(quiz) for _ in range(6)]
    gathered = threading.Barrier(8)

    def send(claim: AttemptClaim) -> str:
        gathered.wait()
        try:
            writer.save(claim, quiz, {items(quiz)[1]: 1})
        except DomainError as error:
            return type(error).__name__
        return "stored"

    with ThreadPoolExecutor(8) as senders:
        outcomes = list(senders.map(send, [finished, twice, *others]))
    assert outcomes == [AttemptFinishedError.__name__, AttemptExistsError.__name__, *["stored"] * 6]
    assert all((claim.attempt_id, items(quiz)[1]) in stored(work) for claim in others)


def test_across_the_closing_instant_every_yes_is_stored_and_every_no_is_not(
    work: UnitOfWork, writer: AnswerWriter, quiz: PublishedVersion
) -> None:
    outcomes: dict[tuple[object, int], bool] = {}
    closed = threading.Event()

    def play(number: int) -> None:
        choose = random.Random(number)
        while True:
            claim, item = start(quiz), choose.choice(items(quiz))
            try:
                writer.save(claim, quiz, {item: 1})
            except QuizNotOpenError:
                outcomes[claim.attempt_id, item] = False
                if closed.is_set():
                    return
            else:
                outcomes[claim.attempt_id, item] = True

    with ThreadPoolExecutor(6) as players:
        futures = [players.submit(play, number) for number in range(6)]
        while len(outcomes) < 60:
            pass
        work.run_in_transaction(lambda connection: publishing.close(connection, quiz.quiz_id))
        closed.set()
        for future in futures:
            future.result(30)
    assert {key for key, is_stored in outcomes.items() if is_stored} == set(stored(work))
    assert False in outcomes.values()


def test_long_after_the_window_nobody_asks_the_database(writer: AnswerWriter, quiz: PublishedVersion) -> None:
    closed = replace(quiz.rules, closes_at=quiz.now + timedelta(minutes=1))
    late = replace(quiz, rules=closed, now=quiz.now + timedelta(minutes=2))
    with pytest.raises(QuizNotOpenError, match="came too late"):
        writer.save(start(quiz), late, {items(quiz)[0]: 1})
    assert not writer.group_commit.batch_sizes


def test_an_answer_and_a_finish_of_one_attempt_at_once_never_leave_an_answer_unscored(
    work: UnitOfWork, quiz: PublishedVersion
) -> None:
    # Two workers, as two processes would be.
    first, second = AnswerWriter(work, timeout=10), AnswerWriter(work, timeout=10)
    right = {question.item_id: 1 << question.right[0] for question in quiz.document.questions}
    for _ in range(30):
        claim = start(quiz)
        first.save(claim, quiz, {items(quiz)[0]: right[items(quiz)[0]]})

        def send(claim: AttemptClaim = claim) -> bool:
            try:
                first.save(claim, quiz, {items(quiz)[1]: right[items(quiz)[1]]})
            except AttemptFinishedError:
                return False
            return True

        with ThreadPoolExecutor(2) as senders:
            saved = senders.submit(send)
            finished = senders.submit(second.finish, claim, quiz.document)
            assert finished.result().score == 1 + saved.result()
    first.group_commit.stop()
    second.group_commit.stop()


def test_a_name_in_any_script_is_stored_as_it_is(
    work: UnitOfWork, writer: AnswerWriter, quiz: PublishedVersion
) -> None:
    name = 'Ada 🦊 O\'Hara \\ "Łódź" %s :name'
    claim = replace(start(quiz), player_name=name)
    writer.save(claim, quiz, {items(quiz)[0]: 1})
    with work.read() as connection:
        row = connection.execute(select(Attempt.player_name, Attempt.started_at)).one()
        assert row.player_name == name
        assert row.started_at == claim.started_at
        assert answer_store.load_state(connection, claim).answers == {items(quiz)[0]: 1}


def test_what_could_not_be_stored_in_time_may_be_sent_again_and_says_so(
    work: UnitOfWork, quiz: PublishedVersion
) -> None:
    writer = AnswerWriter(work, timeout=0.1)
    connections = [work.engine.connect() for _ in range(4)]
    with pytest.raises(BusyError, match="Send it again; that is safe"):
        writer.save(start(quiz), quiz, {items(quiz)[0]: 1})
    for connection in connections:
        connection.close()
    writer.save(start(quiz), quiz, {items(quiz)[0]: 1})
    writer.group_commit.stop()


def lock_the_attempt(connection: Connection, claim: AttemptClaim) -> None:
    assert batch_writes.lock_attempts(connection, [claim.attempt_id])


def lock_its_answer(connection: Connection, claim: AttemptClaim) -> None:
    rows = select(Answer.item_id).where(Answer.attempt_id == claim.attempt_id).with_for_update()
    assert connection.execute(rows).all()


@pytest.mark.slow(reason="one answer is worked on for as long as its caller waits")
@pytest.mark.parametrize("lock", [lock_the_attempt, lock_its_answer])
def test_while_one_row_is_locked_only_its_own_player_is_told_to_come_again(
    work: UnitOfWork, quiz: PublishedVersion, lock: Callable[[Connection, AttemptClaim], None]
) -> None:
    if work.engine.dialect.name == "sqlite":
        pytest.skip("SQLite locks the database and no row")
    writer, item = AnswerWriter(work, timeout=10), items(quiz)[0]
    blocked, *others = claims = [start(quiz) for _ in range(21)]
    for claim in claims:
        writer.save(claim, quiz, {item: 1})
    outcomes: dict[UUID, BaseException | None] = {}

    def send(claim: AttemptClaim, bits: int) -> None:
        writer.submit(SaveAnswers(claim, {item: bits})).add_done_callback(
            lambda future: outcomes.update({claim.attempt_id: future.exception()})
        )

    with work.transaction() as holder:
        lock(holder, blocked)
        for bits in (2, 4):
            for claim in claims:
                send(claim, bits)
            wait_until(lambda: len(outcomes) == len(others))
            assert outcomes == dict.fromkeys([claim.attempt_id for claim in others])
            outcomes.clear()
        wait_until(lambda: blocked.attempt_id in outcomes)
        assert isinstance(outcomes[blocked.attempt_id], BusyError)
    assert sorted(stored(work).values()) == [1, *[4] * 20]
    writer.save(blocked, quiz, {item: 4})
    assert set(stored(work).values()) == {4}
    writer.group_commit.stop()


def test_one_who_may_not_costs_a_batch_two_statements_and_no_further_commit(
    work: UnitOfWork, quiz: PublishedVersion
) -> None:
    writer, item = AnswerWriter(work, timeout=30), items(quiz)[0]
    finished, *claims = (start(quiz) for _ in range(60))
    for claim in (finished, *claims):
        writer.save(claim, quiz, {item: 1})
    AnswerWriter(work, timeout=30).group_commit.write_one(FinishAttempt(finished, quiz.document))

    def statements_for(entries: list[SaveAnswers]) -> int:
        statements: list[str] = []

        def count(connection: Connection, cursor: object, statement: str, *rest: object) -> None:
            statements.append(statement)

        event.listen(work.engine, "before_cursor_execute", count)
        try:
            outcomes = writer.group_commit._write(entries)
        finally:
            event.remove(work.engine, "before_cursor_execute", count)
        assert sum(isinstance(outcome, AttemptFinishedError) for outcome in outcomes) == (entries[0].claim is finished)
        return len(statements)

    alone = statements_for([SaveAnswers(claim, {item: 2}) for claim in claims])
    beside = statements_for([SaveAnswers(claim, {item: 4}) for claim in (finished, *claims)])
    assert alone <= 2
    assert beside <= 4
    assert sorted(stored(work).values()) == [1, *[4] * 59]
    writer.group_commit.stop()


def test_an_answer_that_a_slow_worker_writes_late_does_not_replace_a_newer_one(
    work: UnitOfWork, quiz: PublishedVersion
) -> None:
    slow, quick = (AnswerWriter(work, timeout=30) for _ in range(2))
    claim, item = start(quiz), items(quiz)[0]
    late = slow.prepare_save(claim, quiz, {item: 1})
    time.sleep(0.05)
    quick.save(claim, quiz, {item: 2})
    slow.write(late)
    assert stored(work) == {(claim.attempt_id, item): 2}
    slow.save(claim, quiz, {item: 4})
    assert stored(work) == {(claim.attempt_id, item): 4}
    for writer in (slow, quick):
        writer.group_commit.stop()


def test_who_goes_on_answering_after_the_finish_is_refused_without_the_database(
    work: UnitOfWork, writer: AnswerWriter, quiz: PublishedVersion
) -> None:
    claim, item = start(quiz), items(quiz)[0]
    AnswerWriter(work, timeout=30).group_commit.write_one(FinishAttempt(claim, quiz.document))
    for _ in range(3):
        with pytest.raises(AttemptFinishedError):
            writer.save(claim, quiz, {item: 1})
    assert sum(writer.group_commit.batch_sizes.values()) == 1


def test_an_attempt_whose_row_is_gone_is_stored_again(
    work: UnitOfWork, writer: AnswerWriter, quiz: PublishedVersion
) -> None:
    claim, item = start(quiz), items(quiz)[0]
    writer.save(claim, quiz, {item: 1})
    with work.transaction() as connection:
        connection.execute(delete(Answer))
        connection.execute(delete(Attempt))
    writer.save(claim, quiz, {item: 2})
    assert stored(work) == {(claim.attempt_id, item): 2}


def test_on_a_cluster_with_local_locks_each_save_changes_its_attempt_and_all_is_as_elsewhere(
    work: UnitOfWork, quiz: PublishedVersion
) -> None:
    writer, item = AnswerWriter(work, timeout=30, counts_batches=True), items(quiz)[0]
    claim = start(quiz)
    for bits in (1, 2, 4):
        writer.save(claim, quiz, {item: bits})
    assert stored(work) == {(claim.attempt_id, item): 4}
    with work.read() as connection:
        assert connection.execute(select(Attempt.saved_batches)).scalar_one() == 3
    assert writer.finish(claim, quiz.document).finished_at is not None
    with pytest.raises(AttemptFinishedError):
        writer.save(claim, quiz, {item: 1})
    writer.group_commit.stop()
