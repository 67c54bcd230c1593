from __future__ import annotations

from webapp.pooling.work import Work
from webapp.quizzes import published
from webapp.quizzes.published import Slug, State
from webapp.quizzes.starter import add_starter_quiz


def test_the_first_start_has_something_to_play(work: Work) -> None:
    work.transact(add_starter_quiz)
    with work.read() as connection:
        quiz = published.current(connection, Slug("warm-up"))
    assert (quiz.state, quiz.question_count) == (State.OPEN, 8)
    assert {question.kind for question in quiz.document.questions} == {"single", "multiple", "true_false"}
    assert all(question.explanation for question in quiz.document.questions)
