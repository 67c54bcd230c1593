"""Forms of the studio: details of a draft, and the rules of a quiz."""

from __future__ import annotations

from datetime import UTC, datetime

from flask_babel import lazy_gettext
from flask_wtf import FlaskForm
from wtforms import DateTimeLocalField, IntegerField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]
from wtforms.validators import DataRequired, Length, NumberRange, Optional

from webapp.quizzes.drafts import MAX_DESCRIPTION_LENGTH, MAX_TITLE_LENGTH
from webapp.quizzes.rules import MAX_KEEP_DAYS, AnswersShown, QuizRules, RuleChanges
from webapp.web.validators import validate_storable

DATE_FORMATS = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]
ANSWERS_SHOWN_CHOICES = [
    SelectChoice("", lazy_gettext("Automatic")),
    SelectChoice(AnswersShown.AFTER_CLOSING.value, lazy_gettext("After closing")),
    SelectChoice(AnswersShown.AFTER_FINISHING.value, lazy_gettext("As soon as the attempt is finished")),
    SelectChoice(AnswersShown.NEVER.value, lazy_gettext("Never")),
]


class DetailsForm(FlaskForm):  # type: ignore[misc]
    """Title and description of a quiz."""

    title = StringField(
        lazy_gettext("Title"),
        [DataRequired(lazy_gettext("Give a title.")), Length(max=MAX_TITLE_LENGTH), validate_storable],
    )
    description = TextAreaField(lazy_gettext("Description"), [Length(max=MAX_DESCRIPTION_LENGTH), validate_storable])


class RulesForm(FlaskForm):  # type: ignore[misc]
    """When a quiz is open, in UTC, and when players see the right answers."""

    opens_at = DateTimeLocalField(lazy_gettext("Opens (UTC)"), [Optional()], format=DATE_FORMATS)
    closes_at = DateTimeLocalField(lazy_gettext("Closes (UTC)"), [Optional()], format=DATE_FORMATS)
    answers_shown = SelectField(lazy_gettext("Right answers are shown"), choices=ANSWERS_SHOWN_CHOICES, default="")
    keep_days = IntegerField(
        lazy_gettext("Days until attempts are deleted"), [Optional(), NumberRange(1, MAX_KEEP_DAYS)]
    )

    def chosen_answers_shown(self) -> AnswersShown | None:
        """Return when right answers are to be shown; None where that is left to whether there is an end."""
        return AnswersShown(self.answers_shown.data) if self.answers_shown.data else None

    def changes_of(self, rules: QuizRules) -> RuleChanges:
        """Return what the form changes of these rules; the end, but not the beginning, can be taken away."""
        changes: RuleChanges = {
            "chosen_answers_shown": self.chosen_answers_shown(),
            "keep_days": self.keep_days.data,
        }
        opens_at, closes_at = as_utc(self.opens_at.data), as_utc(self.closes_at.data)
        # The form shows whole minutes: what it has sent back as it was is no change of the seconds.
        if opens_at is not None and opens_at != _to_minute(rules.opens_at):
            changes["opens_at"] = opens_at
        if closes_at != _to_minute(rules.closes_at):
            changes["closes_at"] = closes_at
        return changes


def rules_form(rules: QuizRules | None) -> RulesForm:
    """Return the form with these rules in it; an empty one without them."""
    if rules is None:
        return RulesForm(formdata=None)
    return RulesForm(
        formdata=None,
        opens_at=rules.opens_at,
        closes_at=rules.closes_at,
        answers_shown=rules.chosen_answers_shown.value if rules.chosen_answers_shown else "",
        keep_days=rules.keep_days,
    )


def as_utc(value: datetime | None) -> datetime | None:
    """Return a time of a form, which has no zone, as one in UTC."""
    return None if value is None else value.replace(tzinfo=UTC)


def _to_minute(value: datetime | None) -> datetime | None:
    return None if value is None else value.replace(second=0, microsecond=0)
