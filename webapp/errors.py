"""Errors of the domain: a status, a problem type, one sentence. Imports no HTTP library."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from poolproof.transactions.outcomes import WriteOutcome
from webapp.messages import join_messages, message


class DomainError(Exception):
    """An error that a caller can understand and act on.

    `kind` is the last segment of the problem type, `title` is the same for every occurrence, `detail` is one sentence
    about this occurrence, `extra` are further members of the problem.
    """

    status: ClassVar[int] = 400
    kind: ClassVar[str] = "bad-request"
    title: ClassVar[str] = "The request cannot be carried out."

    def __init__(self, detail: str, extra: Mapping[str, Any] | None = None) -> None:
        """Make an error whose `detail` says what is wrong and what to do."""
        super().__init__(detail)
        self.detail = detail
        self.extra = dict(extra or {})

    @classmethod
    def description(cls) -> str:
        """Return what the problem page says of this type: the first paragraph of the class's docstring."""
        return (cls.__doc__ or "").partition("\n")[0]


class NotFoundError(DomainError):
    """The resource does not exist, or not for this user."""

    status = 404
    kind = "not-found"
    title = "There is no such thing here."


class InvalidInputError(DomainError):
    """The request is well-formed but not acceptable; `errors` names fields and reasons."""

    status = 422
    kind = "invalid-input"
    title = "Something in the request is not acceptable."


class SignInRequiredError(DomainError):
    """The request has no valid session, token or password."""

    status = 401
    kind = "sign-in-required"
    title = "Sign in first."


class ForbiddenError(DomainError):
    """The user is signed in, but does not have the permission."""

    status = 403
    kind = "forbidden"
    title = "Your role does not allow this."


class VersionRequiredError(DomainError):
    """A change was sent without If-Match."""

    status = 428
    kind = "version-required"
    title = "Say which version you are changing."


class VersionMismatchError(DomainError):
    """The resource was changed after it was read."""

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
    """The import was run or undone already, or is not finished; read its state again."""

    status = 409
    kind = "import-state"
    title = "The import is in a state in which this cannot be done."


class TooLargeError(DomainError):
    """A file is larger than this installation takes."""

    status = 413
    kind = "too-large"
    title = "The file is too large."


class CodedBodyError(DomainError):
    """A body came compressed, or otherwise coded (Content-Encoding)."""

    status = 415
    kind = "coded-body"
    title = "Bodies are taken as they are only."


class NameTakenError(DomainError):
    """A slug or a user name is in use."""

    status = 409
    kind = "name-taken"
    title = "That name is taken."


class QuizPublishedError(DomainError):
    """A published quiz is not deleted: players hold attempts at it."""

    status = 409
    kind = "quiz-published"
    title = "The quiz has been published."


class KeyReusedError(DomainError):
    """An Idempotency-Key was sent with two different requests."""

    status = 422
    kind = "key-reused"
    title = "The key belongs to another request."


class QuizNotOpenError(DomainError):
    """Before opens_at, at or after closes_at, or never published."""

    status = 409
    kind = "quiz-not-open"
    title = "The quiz is not open."


class AttemptFinishedError(DomainError):
    """An answer was sent after the finish."""

    status = 409
    kind = "attempt-finished"
    title = "The attempt is finished."


class AttemptTimeOverError(DomainError):
    """An answer was sent after the end of its attempt's own time. What was stored before it counts."""

    status = 409
    kind = "attempt-time-over"
    title = "The time for this attempt is over."


class AttemptPauseError(DomainError):
    """The player's last attempt ended a short while ago; the quiz has a pause between two attempts."""

    status = 409
    kind = "attempt-pause"
    title = "The next attempt has to wait."


class AttemptExistsError(DomainError):
    """The player has already begun another attempt at this version."""

    status = 409
    kind = "attempt-exists"
    title = "You have already played this quiz."


class AttemptErasedError(DomainError):
    """The player has erased the attempt; nothing of it is stored."""

    status = 410
    kind = "attempt-erased"
    title = "The attempt has been erased."


class CollectionStateError(DomainError):
    """A collection run is in a state in which it cannot be started, cancelled or resumed."""

    status = 409
    kind = "collection-state"
    title = "The collection cannot do that now."


class BusyError(DomainError):
    """The service is overloaded, or its database is away; the member `outcome` says what is known of the request.

    `not-done`: nothing was changed. `partly-done`: a part of it was stored before the rest failed. `unknown`: it may be
    stored or not.
    """

    status = 503
    kind = "temporary-reduced-capacity"
    title = "We are very busy for a moment."

    def __init__(self, reason: str, advice: str = "", outcome: WriteOutcome | None = None) -> None:
        """Make an error whose `reason` is a sentence.

        Where no `advice` is given, how to repeat the request is said by what is known of its writes, and so is the
        `outcome`.
        """
        super().__init__(join_messages(reason, advice))
        self.has_advice = bool(advice)
        self.outcome = outcome


class QuotaExceededError(DomainError):
    """A player has sent more answers than a person can."""

    status = 429
    kind = "quota-exceeded"
    title = "That was too often."

    def __init__(self, delay: float) -> None:
        """Make an error after which the same request is accepted in `delay` seconds."""
        self.retry_after = max(1, math.ceil(delay))
        super().__init__(
            message(
                "You have sent more than a person can. Send it again in %(seconds)s s; nothing was stored.",
                seconds=self.retry_after,
            )
        )


class SignInThrottledError(DomainError):
    """Several sign-ins under the same name have failed; the next one has to wait."""

    status = 429
    kind = "sign-in-throttled"
    title = "Too many wrong passwords."

    def __init__(self, delay: float) -> None:
        """Make an error after which the next sign-in is looked at in `delay` seconds."""
        self.retry_after = max(1, math.ceil(delay))
        super().__init__(
            message(
                "Several sign-ins under this name have failed. Try again in %(seconds)s s, or on a device on which you "
                "have signed in before.",
                seconds=self.retry_after,
            )
        )


def list_error_types() -> list[type[DomainError]]:
    """Return every class of error, sorted by status and kind; the problem page lists them."""
    return sorted(DomainError.__subclasses__(), key=lambda kind: (kind.status, kind.kind))
