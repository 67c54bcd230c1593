"""The permissions of each role."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a user does in this installation."""

    AUTHOR = "author"
    OPERATOR = "operator"


class Permission(StrEnum):
    """What a route may require."""

    EDIT_BANK = "edit the bank"
    EDIT_QUIZZES = "edit quizzes"
    SEE_RESULTS = "see results"
    OPERATE = "operate the service"


ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.AUTHOR: frozenset({Permission.EDIT_BANK, Permission.EDIT_QUIZZES, Permission.SEE_RESULTS}),
    Role.OPERATOR: frozenset(Permission),
}
