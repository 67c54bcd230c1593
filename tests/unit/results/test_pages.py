from __future__ import annotations

import re
from contextlib import AbstractContextManager
from datetime import timedelta

from flask.testing import FlaskClient
from sqlalchemy import Connection, update

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.clock import SettableClock
from tests.support.counted_reads import CountedReads
from tests.support.sessions import sign_in
from tests.unit.results.answered_quizzes import draw_answers, store_attempts
from webapp.attempts.models import Attempt
from webapp.attempts.retention_task import RetentionTask
from webapp.attempts.time_limits import TimeLimits
from webapp.lab.factories import make_quiz
from webapp.results.report_cache import ReportCache


def test_the_results_are_shown_to_authors_only(client: FlaskClient, author: dict[str, str], work: UnitOfWork) -> None:
    address = f"/studio/quizzes/{make_quiz(work).quiz_id}/results"
    assert client.get(address).location.startswith("/sign-in")
    sign_in(client, work, "ada")
    assert "no one has answered it yet" in client.get(address).text


def test_the_page_is_sent_what_is_newer_than_what_it_has(
    client: FlaskClient, author: dict[str, str], work: UnitOfWork, clock: SettableClock
) -> None:
    quiz = make_quiz(work)
    sign_in(client, work, "ada")
    address = f"/studio/quizzes/{quiz.quiz_id}/results"
    tag = re.search(r'data-tag="(\w+)"', client.get(address).text)
    assert tag is not None
    part = f"{address}?part=live&after={tag[1]}"
    assert client.get(part).status_code == 204
    store_attempts(work, quiz, draw_answers(quiz, players=1))
    # Within the second that is read once, whoever asks.
    clock.advance(5)
    response = client.get(part)
    assert (response.status_code, "player 0" in response.text, "<html" in response.text) == (200, True, False)


def test_many_watchers_are_one_read_and_long_reads_are_seldom(work: UnitOfWork, clock: SettableClock) -> None:
    quiz = make_quiz(work)
    reads = CountedReads(work)

    def slow() -> AbstractContextManager[Connection]:
        clock.advance(2)
        return reads()

    cache = ReportCache(slow)
    for _ in range(10):
        cache.get(quiz.quiz_id)
    assert reads.count == 1
    clock.advance(30)
    cache.get(quiz.quiz_id)
    assert reads.count == 1
    clock.advance(15)
    cache.get(quiz.quiz_id)
    assert reads.count == 2


def test_all_players_are_on_pages_of_their_own(client: FlaskClient, author: dict[str, str], work: UnitOfWork) -> None:
    quiz = make_quiz(work)
    store_attempts(work, quiz, draw_answers(quiz, players=110))
    sign_in(client, work, "ada")
    names: set[str] = set()
    address: str | None = f"/studio/quizzes/{quiz.quiz_id}/results/players"
    while address:
        page = client.get(address).text
        names |= set(re.findall(r"<bdi>(.*?)</bdi>", page))
        following = re.search(r'rel="next" href="(.*?)"', page)
        address = following[1] if following else None
    assert len(names) == 110


def test_the_page_says_how_many_attempts_were_deleted_and_what_is_kept(
    client: FlaskClient, author: dict[str, str], work: UnitOfWork
) -> None:
    quiz = make_quiz(work)
    rule = {"keep_days": 30}
    client.patch(f"/api/v1/quizzes/{quiz.quiz_id}", json=rule, headers=author)
    store_attempts(work, quiz, draw_answers(quiz, players=3))
    ago = update(Attempt).values(finished_at=quiz.now - timedelta(days=40))
    work.run_in_transaction(lambda connection: connection.execute(ago) and None)
    assert RetentionTask(work, TimeLimits(0, 3600)).run_once() == 3
    sign_in(client, work, "ada")
    page = client.get(f"/studio/quizzes/{quiz.quiz_id}/results").text
    assert "3 attempts are not in these numbers" in page
    assert "30 days after the attempt was finished" in page
