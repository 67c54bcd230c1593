from __future__ import annotations

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.quizzes import published
from webapp.quizzes.published import QuizState, Slug
from webapp.quizzes.sample_quiz import add_sample_quiz


def test_the_first_start_has_something_to_play(work: UnitOfWork) -> None:
    work.run_in_transaction(add_sample_quiz)
    with work.read() as connection:
        quiz = published.current(connection, Slug("warm-up"))
    assert (quiz.state, quiz.question_count) == (QuizState.OPEN, 8)
    assert {question.kind for question in quiz.document.questions} == {"single", "multiple", "true_false"}
    assert all(question.explanation for question in quiz.document.questions)
