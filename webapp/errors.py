"""What may go wrong in the domain: a status, a problem type, one sentence. No HTTP library here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar


class DomainError(Exception):
    """Something a caller did or met, with what it needs to go on.

    `kind` is the problem type's last word, `title` the same for every occurrence,
    `detail` one sentence about this one, `extra` further members of the problem.
    """

    status: ClassVar[int] = 400
    kind: ClassVar[str] = "bad-request"
    title: ClassVar[str] = "The request cannot be carried out."

    def __init__(self, detail: str, extra: Mapping[str, Any] | None = None) -> None:
        """Say in `detail` what is wrong here and what to do."""
        super().__init__(detail)
        self.detail = detail
        self.extra = dict(extra or {})


class NotFoundError(DomainError):
    """There is no such thing, or not for this person."""

    status = 404
    kind = "not-found"
    title = "There is no such thing here."


class InvalidInputError(DomainError):
    """Well-formed but not acceptable; `errors` names field and reason."""

    status = 422
    kind = "invalid-input"
    title = "Something in the request is not acceptable."


class SignInRequiredError(DomainError):
    """Nobody is known to be asking, or the token or password is not good."""

    status = 401
    kind = "sign-in-required"
    title = "Sign in first."


class ForbiddenError(DomainError):
    """The person is known and may not do this."""

    status = 403
    kind = "forbidden"
    title = "Your role does not allow this."


class VersionRequiredError(DomainError):
    """A change came without If-Match."""

    status = 428
    kind = "version-required"
    title = "Say which version you are changing."


class VersionMismatchError(DomainError):
    """Somebody else changed it in between."""

    status = 412
    kind = "version-mismatch"
    title = "It has changed since you read it."


class DuplicateItemError(DomainError):
    """The bank holds the same question with the same choices and answer."""

    status = 409
    kind = "duplicate-item"
    title = "The bank already has this item."


class ItemInUseError(DomainError):
    """A quiz is built from the item."""

    status = 409
    kind = "item-in-use"
    title = "A quiz uses this item."


class ImportStateError(DomainError):
    """The import has been carried out, or undone, or is not finished; read its state again."""

    status = 409
    kind = "import-state"
    title = "The import is not where this can be done."


class TooLargeError(DomainError):
    """A file is larger than this installation takes."""

    status = 413
    kind = "too-large"
    title = "The file is too large."


class NameTakenError(DomainError):
    """A slug or a user name is another's."""

    status = 409
    kind = "name-taken"
    title = "That name is taken."


class QuizPublishedError(DomainError):
    """A published quiz is not deleted: players hold attempts at it."""

    status = 409
    kind = "quiz-published"
    title = "The quiz has been published."


class KeyReusedError(DomainError):
    """An Idempotency-Key has come with two different requests."""

    status = 422
    kind = "key-reused"
    title = "The key belongs to another request."


class QuizNotOpenError(DomainError):
    """Before opens_at, at or after closes_at, or never published."""

    status = 409
    kind = "quiz-not-open"
    title = "The quiz is not open."


class AttemptFinishedError(DomainError):
    """An answer came after finish."""

    status = 409
    kind = "attempt-finished"
    title = "The attempt is finished."


class AttemptExistsError(DomainError):
    """The player has already begun another attempt at this version."""

    status = 409
    kind = "attempt-exists"
    title = "You have already played this quiz."


class CollectionStateError(DomainError):
    """A collection run is not where it can be started, cancelled or resumed."""

    status = 409
    kind = "collection-state"
    title = "The collection cannot do that now."


class BusyError(DomainError):
    """Too much at once; the same request will do a moment later."""

    status = 503
    kind = "temporary-reduced-capacity"
    title = "We are very busy for a moment."


class QuotaExceededError(DomainError):
    """One player has written more often than a person can."""

    status = 429
    kind = "quota-exceeded"
    title = "That was too often."

    def __init__(self, delay: float) -> None:
        """Say in how many seconds the same request is welcome."""
        self.retry_after = max(1, math.ceil(delay))
        super().__init__(
            f"You have sent more than a person can. Send it again in {self.retry_after} s; nothing was stored."
        )


def list_error_types() -> list[type[DomainError]]:
    """Return every kind of error, by status and name; the problem page and its test read this."""
    return sorted(DomainError.__subclasses__(), key=lambda kind: (kind.status, kind.kind))
