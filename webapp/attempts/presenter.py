"""An attempt as its player may see it: right answers and explanations only once it is finished and the rules say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from webapp.attempts import scoring
from webapp.attempts.answer_store import AttemptState
from webapp.attempts.leaderboard import AttemptResult
from webapp.attempts.leaderboard_cache import Leaderboard
from webapp.attempts.question_order import questions_of
from webapp.attempts.shuffling import order_of_choices
from webapp.attempts.tokens import AttemptClaim
from webapp.quizzes.documents import Origin, Question, collect_origins
from webapp.quizzes.published import PublishedVersion, QuizState
from webapp.quizzes.rules import AnswersShown, QuizRules


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
    points: int
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
    out_of: int
    """The highest possible score."""
    number: int
    """Which of the player's attempts it is."""
    max_attempts: int
    ends_at: datetime | None
    """When its own time is over, or the quiz closes."""
    seconds_left: int | None
    """Until then, by the database's clock."""
    questions: tuple[QuestionView, ...]
    origins: tuple[Origin, ...] = ()
    """The sources of the questions; empty until right answers are shown."""

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
    asked = questions_of(version.document, version.rules, claim.seed)
    questions = () if version.state is QuizState.UPCOMING else asked
    started_at = state.started_at or claim.started_at
    ends_at = version.rules.ends_at(started_at)
    return AttemptView(
        quiz=version.quiz_id,
        slug=version.slug,
        title=version.title,
        player_name=claim.player_name,
        state=version.state,
        closes_at=version.closes_at,
        answers_shown=version.answers_shown,
        shows_answers=shown,
        started_at=started_at,
        finished_at=state.finished_at,
        score=state.score,
        milliseconds=state.milliseconds,
        rank=rank,
        out_of=version.document.max_score,
        number=claim.number,
        max_attempts=version.rules.max_attempts,
        ends_at=ends_at,
        seconds_left=None if ends_at is None else max(0, int((ends_at - version.now).total_seconds())),
        questions=tuple(
            _question_view(
                question,
                _order_of_choices(question, version.rules, claim.seed),
                state.answers.get(question.item_id),
                shown=shown,
            )
            for question in questions
        ),
        origins=tuple(collect_origins(questions)) if shown else (),
    )


def _order_of_choices(question: Question, rules: QuizRules, seed: int) -> Sequence[int]:
    if rules.shuffles_choices or not question.author_order:
        return order_of_choices(seed, question)
    return question.author_order


def _question_view(question: Question, order: Sequence[int], bits: int | None, *, shown: bool) -> QuestionView:
    chosen = scoring.as_positions(bits or 0)
    choices = tuple(
        ChoiceView(
            position, question.choices[position], position in chosen, position in question.right if shown else None
        )
        for position in order
    )
    return QuestionView(
        item=question.item_id,
        kind=question.kind,
        stem=question.stem,
        points=question.points,
        choices=choices,
        is_right=scoring.is_right(question, bits) if shown else None,
        explanation=question.explanation if shown else "",
        credit=", ".join(part for part in (question.source, question.licence) if part),
        address=(question.address or "") if shown else "",
        section=question.section,
    )
