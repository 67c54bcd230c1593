"""Peer (a): Flask-SQLAlchemy as its quick start has it: defaults, ORM, `db.session`, 2 × 64 Gunicorn threads."""

import os
import uuid
from datetime import datetime, timedelta

from flask import Flask, abort, jsonify, render_template_string, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import JSON, ForeignKey, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

PAGE = "<!doctype html><title>{{ quiz.title }}</title><h1>{{ quiz.title }}</h1><p>{{ quiz.questions|length }} questions"


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)


class Quiz(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str]
    title: Mapped[str]
    opens_at: Mapped[datetime]
    closes_at: Mapped[datetime]
    questions: Mapped[list["Question"]] = relationship(order_by="Question.position")


class Question(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    quiz_id: Mapped[int] = mapped_column(ForeignKey("quiz.id"))
    position: Mapped[int]
    stem: Mapped[str]
    choices: Mapped[list[str]] = mapped_column(JSON)
    correct: Mapped[int]


class Attempt(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    token: Mapped[str]
    quiz_id: Mapped[int] = mapped_column(ForeignKey("quiz.id"))
    player_name: Mapped[str]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    score: Mapped[int | None]
    milliseconds: Mapped[int | None]
    quiz: Mapped[Quiz] = relationship()
    answers: Mapped[list["Answer"]] = relationship()


class Answer(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    attempt_id: Mapped[int] = mapped_column(ForeignKey("attempt.id"))
    question_id: Mapped[int] = mapped_column(ForeignKey("question.id"))
    choice: Mapped[int]
    answered_at: Mapped[datetime]


app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
db.init_app(app)


@app.get("/quizzes/<slug>")
def open_quiz(slug):
    quiz = db.first_or_404(select(Quiz).filter_by(slug=slug))
    return render_template_string(PAGE, quiz=quiz)


@app.post("/api/v1/quizzes/<int:quiz_id>/attempts")
def start(quiz_id):
    quiz = db.get_or_404(Quiz, quiz_id)
    name = request.get_json()["name"]
    attempt = Attempt(token=uuid.uuid4().hex, quiz=quiz, player_name=name, started_at=datetime.utcnow())
    db.session.add(attempt)
    db.session.commit()
    return jsonify(token=attempt.token), 201


@app.put("/api/v1/attempts/<token>/answers/<int:item>")
def put_answer(token, item):
    attempt = db.first_or_404(select(Attempt).filter_by(token=token))
    if attempt.finished_at or not attempt.quiz.opens_at <= datetime.utcnow() < attempt.quiz.closes_at:
        abort(409)
    question = db.get_or_404(Question, item)
    choice = request.get_json()["choices"][0]
    if choice not in range(len(question.choices)):
        abort(422)
    answer = db.session.scalar(select(Answer).filter_by(attempt_id=attempt.id, question_id=item))
    if answer is None:
        answer = Answer(attempt_id=attempt.id, question_id=item)
        db.session.add(answer)
    answer.choice, answer.answered_at = choice, datetime.utcnow()
    db.session.commit()
    return jsonify(item=item, choices=[answer.choice], saved=True)


@app.post("/api/v1/attempts/<token>/finish")
def finish(token):
    attempt = db.first_or_404(select(Attempt).filter_by(token=token))
    if attempt.finished_at is None:
        right = {question.id: question.correct for question in attempt.quiz.questions}
        attempt.score = sum(right[answer.question_id] == answer.choice for answer in attempt.answers)
        attempt.finished_at = datetime.utcnow()
        attempt.milliseconds = (attempt.finished_at - attempt.started_at) // timedelta(milliseconds=1)
        db.session.commit()
    return jsonify(score=attempt.score, out_of=len(attempt.quiz.questions))


@app.get("/api/v1/quizzes/<int:quiz_id>/leaderboard")
def board(quiz_id):
    mine = select(Attempt).where(Attempt.quiz_id == quiz_id, Attempt.score.is_not(None))
    best = db.session.scalars(mine.order_by(Attempt.score.desc(), Attempt.milliseconds).limit(20)).all()
    finished = db.session.scalar(select(func.count()).select_from(mine.subquery()))
    places = [{"player_name": one.player_name, "score": one.score, "milliseconds": one.milliseconds} for one in best]
    return jsonify(finished=finished, places=places)


@app.get("/api/v1/attempts/<token>")
def read_back(token):
    attempt = db.first_or_404(select(Attempt).filter_by(token=token))
    questions = [{"item": answer.question_id, "chosen": [answer.choice]} for answer in attempt.answers]
    return jsonify(score=attempt.score, finished_at=attempt.finished_at, questions=questions)
