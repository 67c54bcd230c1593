"""Forms of the studio: details of a draft, and the rules of a quiz."""

from __future__ import annotations

from flask_babel import lazy_gettext
from flask_wtf import FlaskForm
from wtforms import IntegerField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]
from wtforms.validators import DataRequired, Length, NumberRange, Optional

from webapp.quizzes.attempt_rule_fields import AttemptRuleFields, attempt_rule_data
from webapp.quizzes.drafts import MAX_DESCRIPTION_LENGTH, MAX_TITLE_LENGTH
from webapp.quizzes.rules import MAX_KEEP_DAYS, AnswersShown, QuizRules, RuleChanges
from webapp.quizzes.sharing.forms import ScheduleFields, schedule_data
from webapp.web.validators import validate_storable

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


class RulesForm(ScheduleFields, AttemptRuleFields, FlaskForm):  # type: ignore[misc]
    """When a quiz is open, who finds it, how it is played, and when players see the right answers."""

    answers_shown = SelectField(lazy_gettext("Right answers are shown"), choices=ANSWERS_SHOWN_CHOICES, default="")
    keep_days = IntegerField(
        lazy_gettext("Days until attempts are deleted"), [Optional(), NumberRange(1, MAX_KEEP_DAYS)]
    )

    def chosen_answers_shown(self) -> AnswersShown | None:
        """Return when right answers are to be shown; None where that is left to whether there is an end."""
        return AnswersShown(self.answers_shown.data) if self.answers_shown.data else None

    def changes_of(self, rules: QuizRules) -> RuleChanges:
        """Return what the form changes of these rules."""
        return {
            "chosen_answers_shown": self.chosen_answers_shown(),
            "keep_days": self.keep_days.data,
            **self.schedule_changes_of(rules),
            **self.attempt_changes(),
        }


def rules_form(rules: QuizRules | None, zone: str) -> RulesForm:
    """Return the form with these rules in it, its times as clocks in a time zone show them; an empty one without."""
    schedule = schedule_data(rules, zone) | attempt_rule_data(rules)
    if rules is None:
        return RulesForm(formdata=None, **schedule)
    chosen = rules.chosen_answers_shown
    return RulesForm(formdata=None, answers_shown=chosen.value if chosen else "", keep_days=rules.keep_days, **schedule)
