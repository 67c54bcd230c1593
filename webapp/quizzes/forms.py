"""Forms of the studio: details of a draft, and the rules of a quiz."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]
from wtforms.validators import DataRequired, Length

from webapp.quizzes.drafts import MAX_DESCRIPTION_LENGTH, MAX_TITLE_LENGTH
from webapp.quizzes.rules import AnswersShown, QuizRules, RuleChanges
from webapp.quizzes.sharing.forms import ScheduleFields, schedule_data
from webapp.web.validators import validate_storable

ANSWERS_SHOWN_CHOICES = [
    SelectChoice("", "Automatic"),
    SelectChoice(AnswersShown.AFTER_CLOSING.value, "After closing"),
    SelectChoice(AnswersShown.AFTER_FINISHING.value, "As soon as the attempt is finished"),
    SelectChoice(AnswersShown.NEVER.value, "Never"),
]


class DetailsForm(FlaskForm):  # type: ignore[misc]
    """Title and description of a quiz."""

    title = StringField("Title", [DataRequired("Give a title."), Length(max=MAX_TITLE_LENGTH), validate_storable])
    description = TextAreaField("Description", [Length(max=MAX_DESCRIPTION_LENGTH), validate_storable])


class RulesForm(ScheduleFields, FlaskForm):  # type: ignore[misc]
    """When a quiz is open, who finds it, and when players see the right answers."""

    answers_shown = SelectField("Right answers are shown", choices=ANSWERS_SHOWN_CHOICES, default="")

    def chosen_answers_shown(self) -> AnswersShown | None:
        """Return when right answers are to be shown; None where that is left to whether there is an end."""
        return AnswersShown(self.answers_shown.data) if self.answers_shown.data else None

    def changes_of(self, rules: QuizRules) -> RuleChanges:
        """Return what the form changes of these rules."""
        return {"chosen_answers_shown": self.chosen_answers_shown(), **self.schedule_changes_of(rules)}


def rules_form(rules: QuizRules | None, zone: str) -> RulesForm:
    """Return the form with these rules in it, its times as clocks in a time zone show them; an empty one without."""
    chosen = rules.chosen_answers_shown if rules is not None else None
    return RulesForm(formdata=None, answers_shown=chosen.value if chosen else "", **schedule_data(rules, zone))
