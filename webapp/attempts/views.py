"""An attempt as its player may see it: right answers and explanations only once it is finished."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from webapp.attempts import answers, scoring
from webapp.attempts.answers import Progress
from webapp.attempts.board import Standings
from webapp.attempts.leaderboard import Finished
from webapp.attempts.shuffling import order_of_choices
from webapp.attempts.tokens import Claim
from webapp.quizzes.documents import Origin, Question, origins
from webapp.quizzes.published import State, Version


@dataclass(frozen=True)
class Choice:
    """A choice where it is shown; `right` is None until the attempt is finished."""

    position: int
    text: str
    chosen: bool
    right: bool | None


@dataclass(frozen=True)
class Shown:
    """A question as shown; `is_right` is None, `explanation` and `address` empty until the attempt is finished.

    The address is the source's page, which may have the answer.
    """

    item: int
    kind: str
    stem: str
    choices: tuple[Choice, ...]
    is_right: bool | None
    explanation: str
    credit: str
    address: str


@dataclass(frozen=True)
class AttemptView:
    """Everything a player may know of the attempt now."""

    quiz: int
    slug: str
    title: str
    player_name: str
    state: State
    closes_at: datetime
    started_at: datetime
    finished_at: datetime | None
    score: int | None
    milliseconds: int | None
    rank: int | None
    questions: tuple[Shown, ...]
    origins: tuple[Origin, ...] = ()
    """Where the questions come from; told once the attempt is finished."""

    @property
    def out_of(self) -> int:
        """How many points there are."""
        return len(self.questions)

    @property
    def answered(self) -> int:
        """How many questions have a stored answer."""
        return sum(any(choice.chosen for choice in question.choices) for question in self.questions)


@dataclass(frozen=True)
class Standing:
    """What the database says of an attempt, read in one go."""

    version: Version
    progress: Progress


def standing(connection: Connection, claim: Claim, version: Version) -> Standing:
    """Read an attempt at this version."""
    return Standing(version, answers.progress(connection, claim))


def rank(standings: Standings, progress: Progress) -> int | None:
    """Return the rank of a finished attempt; None before that."""
    if progress.score is None or progress.milliseconds is None:
        return None
    return standings.rank(progress.score, progress.milliseconds)


def result(claim: Claim, progress: Progress) -> Finished:
    """Return a finished attempt as the board has it."""
    return Finished(
        claim.attempt_id, claim.player_name, progress.score or 0, progress.milliseconds or 0, progress.finished_at
    )


def view(claim: Claim, found: Standing, place: int | None) -> AttemptView:
    """Put together what the player may see; needs no connection."""
    version, progress = found.version, found.progress
    finished = progress.finished_at is not None
    # Before the window nobody sees what will be asked.
    asked = () if version.state is State.UPCOMING else version.document.questions
    return AttemptView(
        quiz=version.quiz_id,
        slug=version.slug,
        title=version.title,
        player_name=claim.player_name,
        state=version.state,
        closes_at=version.closes_at,
        started_at=claim.started_at,
        finished_at=progress.finished_at,
        score=progress.score,
        milliseconds=progress.milliseconds,
        rank=place,
        questions=tuple(_shown(claim, one, progress.answers.get(one.item_id), finished=finished) for one in asked),
        origins=tuple(origins(asked)) if finished else (),
    )


def _shown(claim: Claim, question: Question, bits: int | None, *, finished: bool) -> Shown:
    chosen = scoring.as_positions(bits or 0)
    choices = tuple(
        Choice(
            position, question.choices[position], position in chosen, position in question.right if finished else None
        )
        for position in order_of_choices(claim.seed, question)
    )
    return Shown(
        item=question.item_id,
        kind=question.kind,
        stem=question.stem,
        choices=choices,
        is_right=scoring.is_right(question, bits) if finished else None,
        explanation=question.explanation if finished else "",
        credit=", ".join(part for part in (question.source, question.licence) if part),
        address=(question.address or "") if finished else "",
    )
