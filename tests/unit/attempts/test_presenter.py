from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from webapp.attempts import tokens
from webapp.attempts.answer_store import AttemptState
from webapp.attempts.presenter import AttemptSnapshot, AttemptView, build_view
from webapp.quizzes.documents import Question, QuizDocument
from webapp.quizzes.published import PublishedVersion
from webapp.quizzes.rules import QuizRules

NOW = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
QUESTION = Question(
    5, "single", "Which?", ("a", "b", "c"), (1,), "Because.", None, None, "Somebody", "CC0", "https://example.org"
)
DOCUMENT = QuizDocument("Title", "", (QUESTION,))
HOUR = timedelta(hours=1)
RULES = QuizRules("Title", NOW - HOUR, NOW + HOUR, None)
VERSION = PublishedVersion(1, 2, "slug", 1, 1, RULES, NOW, DOCUMENT)
CLAIM = tokens.new_claim(1, tokens.new_player_id(), "Grace", NOW)


def view_of(state: AttemptState, version: PublishedVersion = VERSION, *, shows_answers: bool = True) -> AttemptView:
    snapshot = AttemptSnapshot(version, state, shows_answers)
    return build_view(CLAIM, snapshot, 1 if state.score is not None else None)


def test_before_the_finish_nothing_tells_what_is_right() -> None:
    (question,) = view_of(AttemptState({5: 0b100}, None, None, None)).questions
    assert {choice.right for choice in question.choices} == {None}
    assert (question.is_right, question.explanation, question.address) == (None, "", "")
    assert [choice.text for choice in question.choices if choice.chosen] == ["c"]


def test_after_the_finish_everything_is_told() -> None:
    (question,) = view_of(AttemptState({5: 0b100}, NOW, 0, 1000)).questions
    assert [choice.text for choice in question.choices if choice.right] == ["b"]
    assert (question.is_right, question.explanation, question.credit) == (False, "Because.", "Somebody, CC0")
    assert question.address == "https://example.org"


def test_after_the_finish_nothing_is_told_where_the_quiz_does_not_show_it_yet() -> None:
    view = view_of(AttemptState({5: 0b100}, NOW, 0, 1000), shows_answers=False)
    (question,) = view.questions
    assert {choice.right for choice in question.choices} == {None}
    assert (question.is_right, question.explanation, question.address, view.origins) == (None, "", "", ())
    assert (view.score, view.rank) == (0, 1)


def test_where_the_questions_come_from_is_told_after_the_finish() -> None:
    """The source's page may have the answer."""
    assert view_of(AttemptState({}, None, None, None)).origins == ()
    (origin,) = view_of(AttemptState({}, NOW, 0, 1000)).origins
    assert (origin.source, origin.licence, origin.address) == ("Somebody", "CC0", "https://example.org")


def test_every_choice_is_shown_once_in_the_attempts_own_order() -> None:
    (question,) = view_of(AttemptState({}, None, None, None)).questions
    assert sorted(choice.position for choice in question.choices) == [0, 1, 2]
    assert all(choice.text == QUESTION.choices[choice.position] for choice in question.choices)


def test_before_the_window_no_question_is_shown() -> None:
    upcoming = replace(VERSION, rules=replace(RULES, opens_at=NOW + timedelta(minutes=1)))
    assert view_of(AttemptState({}, None, None, None), upcoming).questions == ()
