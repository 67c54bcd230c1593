"""Peer (b): FastAPI with async SQLAlchemy and asyncmy: pool 10 + 20, a session a request, two uvicorn workers."""

import os
import uuid
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import HTMLResponse
from jinja2 import Template
from pydantic import BaseModel
from sqlalchemy import JSON, ForeignKey, func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, joinedload, mapped_column, relationship, selectinload

PAGE = Template(
    "<!doctype html><title>{{ quiz.title }}</title><h1>{{ quiz.title }}</h1><p>{{ quiz.questions|length }} questions",
    autoescape=True,
)
engine = create_async_engine(os.environ["DATABASE_URL"], pool_size=10, max_overflow=20)
new_session = async_sessionmaker(engine, expire_on_commit=False)
app = FastAPI()


class Base(DeclarativeBase):
    pass


class Quiz(Base):
    __tablename__ = "quiz"
    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str]
    title: Mapped[str]
    opens_at: Mapped[datetime]
    closes_at: Mapped[datetime]
    questions: Mapped[list["Question"]] = relationship(order_by="Question.position")


class Question(Base):
    __tablename__ = "question"
    id: Mapped[int] = mapped_column(primary_key=True)
    quiz_id: Mapped[int] = mapped_column(ForeignKey("quiz.id"))
    position: Mapped[int]
    stem: Mapped[str]
    choices: Mapped[list[str]] = mapped_column(JSON)
    correct: Mapped[int]


class Attempt(Base):
    __tablename__ = "attempt"
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


class Answer(Base):
    __tablename__ = "answer"
    id: Mapped[int] = mapped_column(primary_key=True)
    attempt_id: Mapped[int] = mapped_column(ForeignKey("attempt.id"))
    question_id: Mapped[int] = mapped_column(ForeignKey("question.id"))
    choice: Mapped[int]
    answered_at: Mapped[datetime]


class StartIn(BaseModel):
    name: str


class AnswerIn(BaseModel):
    choices: list[int]


async def session() -> AsyncIterator[AsyncSession]:
    async with new_session() as opened:
        yield opened


Session = Annotated[AsyncSession, Depends(session)]


@app.get("/quizzes/{slug}", response_class=HTMLResponse)
async def open_quiz(slug: str, session: Session) -> str:
    quiz = await session.scalar(select(Quiz).filter_by(slug=slug).options(selectinload(Quiz.questions)))
    if quiz is None:
        raise HTTPException(404)
    return PAGE.render(quiz=quiz)


@app.post("/api/v1/quizzes/{quiz_id}/attempts", status_code=201)
async def start(quiz_id: int, given: StartIn, session: Session):
    if await session.get(Quiz, quiz_id) is None:
        raise HTTPException(404)
    now = datetime.utcnow()
    attempt = Attempt(token=uuid.uuid4().hex, quiz_id=quiz_id, player_name=given.name, started_at=now)
    session.add(attempt)
    await session.commit()
    return {"token": attempt.token}


async def _attempt(session: AsyncSession, token: str, *options) -> Attempt:
    attempt = await session.scalar(select(Attempt).filter_by(token=token).options(*options))
    if attempt is None:
        raise HTTPException(404)
    return attempt


@app.put("/api/v1/attempts/{token}/answers/{item}")
async def put_answer(token: str, item: int, given: AnswerIn, session: Session):
    attempt = await _attempt(session, token, joinedload(Attempt.quiz))
    if attempt.finished_at or not attempt.quiz.opens_at <= datetime.utcnow() < attempt.quiz.closes_at:
        raise HTTPException(409)
    question = await session.get(Question, item)
    if question is None or not 0 <= given.choices[0] < len(question.choices):
        raise HTTPException(422)
    answer = await session.scalar(select(Answer).filter_by(attempt_id=attempt.id, question_id=item))
    if answer is None:
        answer = Answer(attempt_id=attempt.id, question_id=item)
        session.add(answer)
    answer.choice, answer.answered_at = given.choices[0], datetime.utcnow()
    await session.commit()
    return {"item": item, "choices": [answer.choice], "saved": True}


@app.post("/api/v1/attempts/{token}/finish")
async def finish(token: str, session: Session):
    whole = joinedload(Attempt.quiz).selectinload(Quiz.questions)
    attempt = await _attempt(session, token, whole, selectinload(Attempt.answers))
    if attempt.finished_at is None:
        right = {question.id: question.correct for question in attempt.quiz.questions}
        attempt.score = sum(right[answer.question_id] == answer.choice for answer in attempt.answers)
        attempt.finished_at = datetime.utcnow()
        attempt.milliseconds = (attempt.finished_at - attempt.started_at) // timedelta(milliseconds=1)
        await session.commit()
    return {"score": attempt.score, "out_of": len(attempt.quiz.questions)}


@app.get("/api/v1/quizzes/{quiz_id}/leaderboard")
async def board(quiz_id: int, session: Session):
    mine = select(Attempt).where(Attempt.quiz_id == quiz_id, Attempt.score.is_not(None))
    best = (await session.scalars(mine.order_by(Attempt.score.desc(), Attempt.milliseconds).limit(20))).all()
    finished = await session.scalar(select(func.count()).select_from(mine.subquery()))
    places = [{"player_name": one.player_name, "score": one.score, "milliseconds": one.milliseconds} for one in best]
    return {"finished": finished, "places": places}


@app.get("/api/v1/attempts/{token}")
async def read_back(token: str, session: Session):
    attempt = await _attempt(session, token, selectinload(Attempt.answers))
    questions = [{"item": answer.question_id, "chosen": [answer.choice]} for answer in attempt.answers]
    return {"score": attempt.score, "finished_at": attempt.finished_at, "questions": questions}
