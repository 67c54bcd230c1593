from __future__ import annotations

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.unit.attempts.results import store_results
from webapp.attempts import attempt_stats, tokens
from webapp.attempts.answer_writer import AnswerWriter
from webapp.attempts.attempt_stats import AttemptTotals, ChoiceCount
from webapp.attempts.batch_writes import FinishAttempt, SaveAnswers
from webapp.lab.factories import make_quiz
from webapp.quizzes.published import PublishedVersion


def test_totals_are_of_finished_attempts_and_count_those_begun(work: UnitOfWork) -> None:
    quiz = make_quiz(work)
    with work.read() as connection:
        assert attempt_stats.count_attempts(connection, quiz.version_id) == AttemptTotals(0, 0, None, None)
    store_results(work, quiz, ("a", 2, 300), ("b", 1, 100), ("c", None, None))
    with work.read() as connection:
        assert attempt_stats.count_attempts(connection, quiz.version_id) == AttemptTotals(3, 2, 1.5, 200.0, 3, 5)


def play(work: UnitOfWork, quiz: PublishedVersion, chosen: int, *, finish: bool) -> None:
    claim = tokens.new_claim(quiz.version_id, tokens.new_player_id(), "Ada", quiz.now)
    item = quiz.document.questions[0].item_id
    group_commit = AnswerWriter(work, 30.0).group_commit
    group_commit.write_one(SaveAnswers(claim, {item: chosen}))
    if finish:
        group_commit.write_one(FinishAttempt(claim, quiz.document))


def test_choices_are_counted_also_while_they_may_change_and_scores_summed_of_finished_attempts(
    work: UnitOfWork,
) -> None:
    quiz = make_quiz(work)
    right = 1 << quiz.document.questions[0].right[0]
    for chosen, finish in ((right, True), (right, True), (right ^ 0b11, True), (right ^ 0b11, False)):
        play(work, quiz, chosen, finish=finish)
    with work.read() as connection:
        counts = attempt_stats.count_choices(connection, quiz.version_id)
    item = quiz.document.questions[0].item_id
    expected = [ChoiceCount(item, right, 2, 2, 2, 2), ChoiceCount(item, right ^ 0b11, 2, 1, 0, 0)]
    assert sorted(counts, key=lambda count: -count.scored) == expected
