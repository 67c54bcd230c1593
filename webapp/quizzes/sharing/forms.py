"""The fields of a quiz's rules that say when it is open and who finds it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from flask_babel import gettext, lazy_gettext
from wtforms import DateTimeLocalField, Field, SelectField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]
from wtforms.validators import Optional, ValidationError

from webapp.quizzes.local_times import UTC_NAME, NoSuchTimeError, known_zone, resolve_local, to_local, zone_names
from webapp.quizzes.rules import QuizRules, RuleChanges

DATE_FORMATS = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]
LISTED, UNLISTED = "listed", "unlisted"
VISIBILITY_CHOICES = [
    SelectChoice(LISTED, lazy_gettext("Everyone: it is on the front page")),
    SelectChoice(UNLISTED, lazy_gettext("Only those who have the code or the address")),
]


class ScheduleFields:
    """When a quiz is open, in a time zone that its author chooses, and who finds it. To be mixed into a form."""

    opens_at = DateTimeLocalField(lazy_gettext("Opens"), [Optional()], format=DATE_FORMATS)
    closes_at = DateTimeLocalField(lazy_gettext("Closes"), [Optional()], format=DATE_FORMATS)
    time_zone = SelectField(
        lazy_gettext("Time zone of these times"),
        choices=lambda: [SelectChoice(name) for name in zone_names()],
        default=UTC_NAME,
        validate_choice=False,
    )
    # A form that does not have it, as that of a new version, leaves the rule as it is.
    visibility = SelectField(
        lazy_gettext("Who finds it"), choices=VISIBILITY_CHOICES, default="", validate_choice=False
    )

    def validate_opens_at(self, field: Field) -> None:
        """Refuse a time that does not exist."""
        _require_moment(field, self.zone)

    def validate_closes_at(self, field: Field) -> None:
        """Refuse a time that does not exist."""
        _require_moment(field, self.zone)

    def validate_time_zone(self, field: Field) -> None:
        """Refuse what is no time zone."""
        if known_zone(field.data) != field.data:
            raise ValidationError(gettext("Choose one of the list."))

    def validate_visibility(self, field: Field) -> None:
        """Refuse what is no choice."""
        if field.data not in {"", LISTED, UNLISTED}:
            raise ValidationError(gettext("Choose one of the list."))

    @property
    def zone(self) -> str:
        """The chosen time zone."""
        return known_zone(self.time_zone.data)

    def opens_utc(self) -> datetime | None:
        """Return when the quiz opens; None where the field is empty."""
        return _to_utc(self.opens_at.data, self.zone)

    def closes_utc(self) -> datetime | None:
        """Return when the quiz closes; None where the field is empty."""
        return _to_utc(self.closes_at.data, self.zone)

    def chosen_unlisted(self) -> bool | None:
        """Return whether the quiz is to be unlisted; None where the form does not say it."""
        return self.visibility.data == UNLISTED if self.visibility.data else None

    def schedule_changes_of(self, rules: QuizRules) -> RuleChanges:
        """Return what the fields change of these rules; the end, but not the beginning, can be taken away."""
        changes: RuleChanges = {}
        opens_at = self.opens_utc()
        # The form shows whole minutes, and a time that comes twice without saying which: what it has sent back as it
        # was is no change.
        if opens_at is not None and self.opens_at.data != _local_minute(rules.opens_at, self.zone):
            changes["opens_at"] = opens_at
        if self.closes_at.data != _local_minute(rules.closes_at, self.zone):
            changes["closes_at"] = self.closes_utc()
        unlisted = self.chosen_unlisted()
        if unlisted is not None:
            changes["is_unlisted"] = unlisted
        return changes

    def notes(self) -> Iterator[str]:
        """Say which of the times come twice, and which of the two was taken."""
        for field in (self.opens_at, self.closes_at):
            moment = None if field.data is None else resolve_local(field.data, self.zone)
            if moment is not None and moment.comes_twice:
                yield gettext(
                    "%(field)s: the clocks are put back then, so %(time)s comes twice in %(zone)s. The first one is "
                    "taken, %(utc)s UTC; for the second one choose the time zone UTC.",
                    field=field.label.text,
                    time=f"{field.data:%H:%M}",
                    zone=self.zone,
                    utc=f"{moment.utc:%H:%M}",
                )


def schedule_data(rules: QuizRules | None, zone: str) -> dict[str, Any]:
    """Return the values of the fields for these rules, or of a quiz that has none yet."""
    if rules is None:
        return {"time_zone": zone, "visibility": LISTED}
    return {
        "opens_at": to_local(rules.opens_at, zone),
        "closes_at": None if rules.closes_at is None else to_local(rules.closes_at, zone),
        "time_zone": zone,
        "visibility": UNLISTED if rules.is_unlisted else LISTED,
    }


def _require_moment(field: Field, zone: str) -> None:
    try:
        _to_utc(field.data, zone)
    except NoSuchTimeError as error:
        raise ValidationError(
            gettext(
                "%(time)s does not exist in %(zone)s on this day: the clocks are put forward. Choose %(next)s, or "
                "another time.",
                time=f"{field.data:%H:%M}",
                zone=zone,
                next=f"{error.next_time:%H:%M}",
            )
        ) from error
    except OverflowError as error:
        raise ValidationError(gettext("Choose a time of this age.")) from error


def _to_utc(local: datetime | None, zone: str) -> datetime | None:
    return None if local is None else resolve_local(local, zone).utc


def _local_minute(moment: datetime | None, zone: str) -> datetime | None:
    return None if moment is None else to_local(moment, zone).replace(second=0, microsecond=0)
