"""The same quiz written like Flask-SQLAlchemy's quick start; `poolproof lab incident` compares it with Poolproof.

The ORM, `db.session`, a connection that is held from a request's first query to its end, and a pool with SQLAlchemy's
defaults (5 + 10, 30 s). Nothing in it is slow on purpose, and the rules of this project's own code do not apply to it.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask, abort, jsonify, render_template_string, request
from flask.typing import ResponseReturnValue
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import JSON, ForeignKey, Index, String, create_engine, func, select
from sqlalchemy.dialects.mysql import DATETIME
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from webapp.settings import load_settings

SLUG, QUIZ_ID = "push", 1
PAGE = """<!doctype html><html lang="en"><title>{{ quiz.title }}</title><h1>{{ quiz.title }}</h1>
<ol>{% for question in quiz.questions %}<li>{{ question.stem }}
<ul>{% for choice in question.choices %}<li>{{ choice }}</li>{% endfor %}</ul></li>{% endfor %}</ol>"""
PRECISE = DATETIME(fsp=6)


class Base(DeclarativeBase):
    """Base of the tables of this app, which are in a schema of their own."""


db = SQLAlchemy(model_class=Base)


class Quiz(Base):
    """A quiz that is open."""

    __tablename__ = "quiz"
    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(String(80), unique=True)
    title: Mapped[str] = mapped_column(String(200))
    opens_at: Mapped[datetime] = mapped_column(PRECISE)
    closes_at: Mapped[datetime] = mapped_column(PRECISE)
    questions: Mapped[list[Question]] = relationship(order_by="Question.position")


class Question(Base):
    """One of its questions."""

    __tablename__ = "question"
    id: Mapped[int] = mapped_column(primary_key=True)
    quiz_id: Mapped[int] = mapped_column(ForeignKey("quiz.id"))
    position: Mapped[int]
    stem: Mapped[str] = mapped_column(String(500))
    choices: Mapped[list[str]] = mapped_column(JSON)
    correct: Mapped[int]


class Attempt(Base):
    """One player's attempt."""

    __tablename__ = "attempt"
    __table_args__ = (Index("board", "quiz_id", "score", "milliseconds"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    token: Mapped[str] = mapped_column(String(32), unique=True)
    quiz_id: Mapped[int] = mapped_column(ForeignKey("quiz.id"))
    player_name: Mapped[str] = mapped_column(String(40))
    started_at: Mapped[datetime] = mapped_column(PRECISE)
    finished_at: Mapped[datetime | None] = mapped_column(PRECISE)
    score: Mapped[int | None]
    milliseconds: Mapped[int | None]
    quiz: Mapped[Quiz] = relationship()
    answers: Mapped[list[Answer]] = relationship()


class Answer(Base):
    """The choice of an attempt for one question."""

    __tablename__ = "answer"
    __table_args__ = (Index("once", "attempt_id", "question_id", unique=True),)
    id: Mapped[int] = mapped_column(primary_key=True)
    attempt_id: Mapped[int] = mapped_column(ForeignKey("attempt.id"))
    question_id: Mapped[int] = mapped_column(ForeignKey("question.id"))
    choice: Mapped[int]
    answered_at: Mapped[datetime] = mapped_column(PRECISE)


def create_app(pool_timeout: int | None = None) -> Flask:
    """Return the app on DATABASE_URL; without `pool_timeout` (seconds) with SQLAlchemy's own 30 s."""
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = load_settings().database_url
    if pool_timeout is not None:
        app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"pool_timeout": pool_timeout}
    db.init_app(app)
    app.get("/quizzes/<slug>")(open_quiz)
    app.post("/api/v1/quizzes/<int:quiz_id>/attempts")(start)
    app.put("/api/v1/attempts/<token>/answers/<int:item>")(put_answer)
    app.post("/api/v1/attempts/<token>/finish")(finish)
    app.get("/api/v1/quizzes/<int:quiz_id>/leaderboard")(leaderboard)
    app.get("/api/v1/attempts/<token>")(read_back)
    app.get("/healthz")(lambda: {"status": "alive"})
    return app


def open_quiz(slug: str) -> ResponseReturnValue:
    """Show the quiz."""
    return render_template_string(PAGE, quiz=db.first_or_404(select(Quiz).filter_by(slug=slug)))


def start(quiz_id: int) -> ResponseReturnValue:
    """Begin an attempt."""
    quiz = db.get_or_404(Quiz, quiz_id)
    name = request.get_json()["name"]
    attempt = Attempt(token=uuid.uuid4().hex, quiz=quiz, player_name=name, started_at=_now())
    db.session.add(attempt)
    db.session.commit()
    return jsonify(token=attempt.token), 201


def put_answer(token: str, item: int) -> ResponseReturnValue:
    """Store an answer, or change it."""
    attempt = _get_attempt(token)
    if attempt.finished_at or not attempt.quiz.opens_at <= _now() < attempt.quiz.closes_at:
        abort(409)
    question = db.get_or_404(Question, item)
    choice = request.get_json()["choices"][0]
    if not 0 <= choice < len(question.choices):
        abort(422)
    answer = db.session.scalar(select(Answer).filter_by(attempt_id=attempt.id, question_id=item))
    if answer is None:
        answer = Answer(attempt_id=attempt.id, question_id=item)
        db.session.add(answer)
    answer.choice, answer.answered_at = choice, _now()
    db.session.commit()
    return jsonify(item=item, choices=[answer.choice], saved=True)


def finish(token: str) -> ResponseReturnValue:
    """Score an attempt, once."""
    attempt = _get_attempt(token)
    if attempt.finished_at is None:
        right = {question.id: question.correct for question in attempt.quiz.questions}
        attempt.score = sum(right[answer.question_id] == answer.choice for answer in attempt.answers)
        attempt.finished_at = _now()
        attempt.milliseconds = (attempt.finished_at - attempt.started_at) // timedelta(milliseconds=1)
        db.session.commit()
    return jsonify(score=attempt.score, out_of=len(attempt.quiz.questions))


def leaderboard(quiz_id: int) -> ResponseReturnValue:
    """Show the best twenty, and how many have finished."""
    attempts = select(Attempt).where(Attempt.quiz_id == quiz_id, Attempt.score.is_not(None))
    best = db.session.scalars(attempts.order_by(Attempt.score.desc(), Attempt.milliseconds).limit(20)).all()
    finished = db.session.scalar(select(func.count()).select_from(attempts.subquery()))
    places = [
        {"player_name": attempt.player_name, "score": attempt.score, "milliseconds": attempt.milliseconds}
        for attempt in best
    ]
    return jsonify(finished=finished, places=places)


def read_back(token: str) -> ResponseReturnValue:
    """Show an attempt."""
    attempt = _get_attempt(token)
    questions = [{"item": answer.question_id, "chosen": [answer.choice]} for answer in attempt.answers]
    return jsonify(score=attempt.score, finished_at=attempt.finished_at, questions=questions)


def _get_attempt(token: str) -> Attempt:
    attempt: Attempt = db.first_or_404(select(Attempt).filter_by(token=token))
    return attempt


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def create_quiz(database_url: str, choice_counts: Sequence[int]) -> list[tuple[int, int]]:
    """Create the tables and a quiz whose questions have so many choices; return each question's id and choice count."""
    engine = create_engine(database_url)
    Base.metadata.create_all(engine)
    day = timedelta(days=1)
    quiz: dict[str, Any] = {"id": QUIZ_ID, "slug": SLUG, "title": "The push"}
    with Session(engine) as session:
        session.add(Quiz(**quiz, opens_at=_now() - day, closes_at=_now() + day))
        session.flush()
        questions = [
            Question(
                quiz_id=QUIZ_ID, position=number, stem=f"Question {number + 1}?", correct=number % count,
                choices=[f"Choice {choice + 1}" for choice in range(count)],
            )
            for number, count in enumerate(choice_counts)
        ]  # fmt: skip
        session.add_all(questions)
        session.commit()
        items = [(question.id, len(question.choices)) for question in questions]
    engine.dispose()
    return items
