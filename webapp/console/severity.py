"""A diagnosis of the fleet, and how bad it is. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from webapp.messages import message


class Severity(IntEnum):
    """How bad a diagnosis is; the highest is the page's."""

    OK = 0
    WARNING = 1
    CRITICAL = 2

    @property
    def label(self) -> str:
        """The word that is shown beside the colour."""
        return (message("OK"), message("Warning"), message("Critical"))[self]


@dataclass(frozen=True)
class Diagnosis:
    """One thing an operator should know."""

    severity: Severity
    text: str
    remedy: str = ""
    part: str = ""
    """The part of the page that shows more."""


def worst_severity(diagnoses: Sequence[Diagnosis]) -> Severity:
    """Return the worst severity."""
    return max((diagnosis.severity for diagnosis in diagnoses), default=Severity.OK)
