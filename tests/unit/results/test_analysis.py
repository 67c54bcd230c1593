from __future__ import annotations

from dataclasses import replace

import pytest

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.unit.results.answered_quizzes import draw_answers, store_attempts
from webapp.attempts.attempt_stats import AttemptTotals, ChoiceCount
from webapp.lab.factories import make_quiz
from webapp.quizzes.documents import Pool, Question, QuizDocument
from webapp.results.analysis import QuestionResult, summarize_questions
from webapp.results.reports import load_report

NOBODY = AttemptTotals(0, 0, None, None)


def question(kind: str = "single", right: tuple[int, ...] = (0,)) -> Question:
    return Question(5, kind, "Which?", ("a", "b", "c"), right, "", None, None, None, None)


def test_choices_are_counted_and_the_share_of_right_ones_told() -> None:
    document = QuizDocument("", "", (question("multiple", (0, 2)),))
    (result,) = summarize_questions(document, [ChoiceCount(5, 0b101, 3), ChoiceCount(5, 0b001, 1)], NOBODY)
    assert [choice.count for choice in result.choices] == [4, 0, 3]
    assert (result.answered, result.right, result.share_right) == (4, 3, 0.75)


def test_a_question_nobody_answered_has_no_share() -> None:
    (result,) = summarize_questions(QuizDocument("", "", (question(),)), [], NOBODY)
    assert (result.answered, result.share_right, result.facility, result.discrimination) == (0, None, None, None)


def test_what_is_the_same_in_all_attempts_separates_nobody() -> None:
    totals = AttemptTotals(4, 4, 1.0, 5.0, 4, 4)
    (result,) = summarize_questions(QuizDocument("", "", (question(),)), [ChoiceCount(5, 1, 4, 4, 4, 4)], totals)
    assert (result.facility, result.discrimination, result.better_choice) == (1.0, None, None)


def reported(work: UnitOfWork, quiz_id: int) -> dict[int, QuestionResult]:
    with work.read() as connection:
        report = load_report(connection, quiz_id)
    return {result.item: result for result in report.questions}


def test_facility_and_discrimination_equal_an_independent_calculation(work: UnitOfWork) -> None:
    stats = pytest.importorskip("scipy.stats")
    quiz = make_quiz(work, questions=5)
    attempts = draw_answers(quiz, players=200)
    store_attempts(work, quiz, attempts)
    results = reported(work, quiz.quiz_id)
    questions = quiz.document.questions
    right = {
        each.item_id: [int(chosen.get(each.item_id) == 1 << each.right[0]) for chosen in attempts] for each in questions
    }
    for each in questions:
        rest = [
            sum(right[other.item_id][number] for other in questions if other is not each)
            for number in range(len(attempts))
        ]
        result = results[each.item_id]
        assert result.facility == pytest.approx(sum(right[each.item_id]) / len(attempts))
        assert result.discrimination == pytest.approx(stats.pointbiserialr(right[each.item_id], rest).statistic)
        for position, choice in enumerate(result.choices):
            chose = [int(chosen.get(each.item_id) == 1 << position) for chosen in attempts]
            assert choice.count == sum(chose)
            assert choice.correlation == pytest.approx(stats.pearsonr(chose, rest).statistic)


def test_a_question_whose_key_is_wrong_is_named_with_the_choice_that_is_probably_right(work: UnitOfWork) -> None:
    quiz = make_quiz(work, questions=6)
    wrong = quiz.document.questions[0]
    store_attempts(work, quiz, draw_answers(quiz, players=200, wrong_key=wrong.item_id))
    results = reported(work, quiz.quiz_id)
    assert {item: result.better_choice for item, result in results.items() if result.better_choice is not None} == {
        wrong.item_id: (wrong.right[0] + 1) % 3
    }


def test_of_few_attempts_nothing_is_said_about_a_key(work: UnitOfWork) -> None:
    quiz = make_quiz(work, questions=6)
    wrong = quiz.document.questions[0]
    store_attempts(work, quiz, draw_answers(quiz, players=200, wrong_key=wrong.item_id)[:19])
    assert all(result.better_choice is None for result in reported(work, quiz.quiz_id).values())


def test_points_weigh_and_of_a_drawn_question_those_who_have_answered_it_are_taken() -> None:
    worth_three = replace(question(), points=3)
    # Of four: right with 5 and 4 points in all, wrong with 2 and 1, so that the rest is 2, 1, 2, 1.
    counts = [ChoiceCount(5, 0b001, 2, 2, 9, 41), ChoiceCount(5, 0b010, 2, 2, 3, 5)]
    drawn = QuizDocument("", "", (worth_three,), (Pool(0, 1, (5,)),))
    (result,) = summarize_questions(drawn, counts, AttemptTotals(50, 50, 1.0, 1.0, 200, 900))
    assert (result.facility, result.discrimination) == (0.5, 0.0)
    of_all = QuizDocument("", "", (worth_three,))
    (result,) = summarize_questions(of_all, counts, AttemptTotals(8, 8, 1.5, 1.0, 12, 46))
    assert result.facility == 0.25
