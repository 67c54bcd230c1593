"""An attempt as its player may see it: right answers and explanations only once it is finished and the rules say so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from webapp.attempts import scoring
from webapp.attempts.answer_store import AttemptState
from webapp.attempts.leaderboard import AttemptResult
from webapp.attempts.leaderboard_cache import Leaderboard
from webapp.attempts.shuffling import order_of_choices
from webapp.attempts.tokens import AttemptClaim
from webapp.quizzes.documents import Origin, Question, collect_origins
from webapp.quizzes.published import PublishedVersion, QuizState
from webapp.quizzes.rules import AnswersShown


@dataclass(frozen=True)
class ChoiceView:
    """A choice and its position in the document; `right` is None until right answers are shown."""

    position: int
    text: str
    chosen: bool
    right: bool | None


@dataclass(frozen=True)
class QuestionView:
    """A question as shown; until right answers are shown `is_right` is None, `explanation` and `address` are empty.

    The address is the page of the source, which may contain the answer.
    """

    item: int
    kind: str
    stem: str
    choices: tuple[ChoiceView, ...]
    is_right: bool | None
    explanation: str
    credit: str
    address: str
    section: str | None = None
    """The title of the section that the question is in."""


@dataclass(frozen=True)
class AttemptView:
    """Everything that a player may see of the attempt in its present state."""

    quiz: int
    slug: str
    title: str
    player_name: str
    state: QuizState
    closes_at: datetime | None
    answers_shown: AnswersShown
    """The rule; whether they are shown now says `shows_answers`."""
    shows_answers: bool
    started_at: datetime
    finished_at: datetime | None
    score: int | None
    milliseconds: int | None
    rank: int | None
    questions: tuple[QuestionView, ...]
    origins: tuple[Origin, ...] = ()
    """The sources of the questions; empty until right answers are shown."""

    @property
    def out_of(self) -> int:
        """The highest possible score."""
        return len(self.questions)

    @property
    def answered(self) -> int:
        """How many questions have a stored answer."""
        return sum(any(choice.chosen for choice in question.choices) for question in self.questions)


@dataclass(frozen=True)
class AttemptSnapshot:
    """An attempt as it is stored, with its version."""

    version: PublishedVersion
    state: AttemptState
    shows_answers: bool
    """Whether a player who has finished may see the right answers."""


def find_rank(leaderboard: Leaderboard, state: AttemptState) -> int | None:
    """Return the rank of a finished attempt; None before that."""
    if state.score is None or state.milliseconds is None:
        return None
    return leaderboard.rank(state.score, state.milliseconds)


def to_result(claim: AttemptClaim, state: AttemptState) -> AttemptResult:
    """Return a finished attempt as a result for the leaderboard."""
    return AttemptResult(
        claim.attempt_id, claim.player_name, state.score or 0, state.milliseconds or 0, state.finished_at
    )


def build_view(claim: AttemptClaim, snapshot: AttemptSnapshot, rank: int | None) -> AttemptView:
    """Return what the player may see; needs no connection."""
    version, state = snapshot.version, snapshot.state
    shown = snapshot.shows_answers and state.finished_at is not None
    # No question is shown before the window opens.
    questions = () if version.state is QuizState.UPCOMING else version.document.questions
    return AttemptView(
        quiz=version.quiz_id,
        slug=version.slug,
        title=version.title,
        player_name=claim.player_name,
        state=version.state,
        closes_at=version.closes_at,
        answers_shown=version.answers_shown,
        shows_answers=shown,
        started_at=claim.started_at,
        finished_at=state.finished_at,
        score=state.score,
        milliseconds=state.milliseconds,
        rank=rank,
        questions=tuple(
            _question_view(claim, question, state.answers.get(question.item_id), shown=shown) for question in questions
        ),
        origins=tuple(collect_origins(questions)) if shown else (),
    )


def _question_view(claim: AttemptClaim, question: Question, bits: int | None, *, shown: bool) -> QuestionView:
    chosen = scoring.as_positions(bits or 0)
    choices = tuple(
        ChoiceView(
            position, question.choices[position], position in chosen, position in question.right if shown else None
        )
        for position in order_of_choices(claim.seed, question)
    )
    return QuestionView(
        item=question.item_id,
        kind=question.kind,
        stem=question.stem,
        choices=choices,
        is_right=scoring.is_right(question, bits) if shown else None,
        explanation=question.explanation if shown else "",
        credit=", ".join(part for part in (question.source, question.licence) if part),
        address=(question.address or "") if shown else "",
        section=question.section,
    )
