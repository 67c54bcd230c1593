"""The fields of a quiz's rules that are about attempts: their time, their number, and the order of what they show."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from flask_babel import gettext, lazy_gettext
from wtforms import BooleanField, DecimalField, Field, IntegerField, SelectField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]
from wtforms.validators import NumberRange, Optional, ValidationError

from webapp.quizzes.rules import (
    MAX_ATTEMPT_PAUSE,
    MAX_ATTEMPTS,
    MAX_TIME_LIMIT,
    MIN_TIME_LIMIT,
    CountedAttempt,
    QuizRules,
    RuleChanges,
)

MINUTE = 60
COUNTED_CHOICES = [
    SelectChoice(CountedAttempt.BEST.value, lazy_gettext("The best")),
    SelectChoice(CountedAttempt.EARLIEST.value, lazy_gettext("The first")),
    SelectChoice(CountedAttempt.FINAL.value, lazy_gettext("The last")),
]


class AttemptRuleFields:
    """Time, attempts and order, to be mixed into a form. A form without them leaves the rules as they are."""

    time_minutes = DecimalField(lazy_gettext("Minutes for an attempt"), [Optional()])
    max_attempts = IntegerField(
        lazy_gettext("Attempts of a player"), [Optional(), NumberRange(1, MAX_ATTEMPTS)], default=1
    )
    counted_attempt = SelectField(
        lazy_gettext("Which attempt counts"), choices=COUNTED_CHOICES, default="", validate_choice=False
    )
    pause_minutes = IntegerField(
        lazy_gettext("Minutes between two attempts"), [Optional(), NumberRange(0, MAX_ATTEMPT_PAUSE // MINUTE)]
    )
    shuffles_questions = BooleanField(lazy_gettext("Shuffle the questions for each player"))
    shuffles_choices = BooleanField(lazy_gettext("Shuffle the choices for each player"))

    def validate_time_minutes(self, field: Field) -> None:
        """Refuse a time that is no rule."""
        seconds = _to_seconds(field.data)
        if seconds is not None and not MIN_TIME_LIMIT <= seconds <= MAX_TIME_LIMIT:
            most = MAX_TIME_LIMIT // MINUTE
            raise ValidationError(gettext("Give up to %(most)s minutes, and at least ten seconds.", most=most))

    def validate_counted_attempt(self, field: Field) -> None:
        """Refuse what is no choice."""
        if field.data not in {"", *CountedAttempt}:
            raise ValidationError(gettext("Choose one of the list."))

    def attempt_changes(self) -> RuleChanges:
        """Return the rules that the fields say; none where the form does not have them."""
        if not self.counted_attempt.data:
            return {}
        return {
            "time_limit": _to_seconds(self.time_minutes.data),
            "max_attempts": self.max_attempts.data or 1,
            "counted_attempt": CountedAttempt(self.counted_attempt.data),
            "attempt_pause": (self.pause_minutes.data or 0) * MINUTE,
            "shuffles_questions": bool(self.shuffles_questions.data),
            "shuffles_choices": bool(self.shuffles_choices.data),
        }


def attempt_rule_data(rules: QuizRules | None) -> dict[str, Any]:
    """Return what the fields show; what a new quiz begins with, without rules."""
    if rules is None:
        return {"counted_attempt": CountedAttempt.BEST.value, "shuffles_choices": True}
    minutes = None if rules.time_limit is None else (Decimal(rules.time_limit) / MINUTE).normalize()
    return {
        "time_minutes": minutes,
        "max_attempts": rules.max_attempts,
        "counted_attempt": rules.counted_attempt.value,
        "pause_minutes": rules.attempt_pause // MINUTE or None,
        "shuffles_questions": rules.shuffles_questions,
        "shuffles_choices": rules.shuffles_choices,
    }


def _to_seconds(minutes: Decimal | None) -> int | None:
    return None if minutes is None or not minutes.is_finite() else round(minutes * MINUTE)
