"""Open Trivia DB: no ids, no pages, random order; a token remembers what it has returned.

A strand is a category with a token of its own. Each step is one call: a token, then
questions until none is left. How many are left nobody says for certain, so the count is only
believed as long as questions come; see `_after`.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, TypeVar
from urllib.parse import unquote, unquote_plus

from webapp.bank.drafts import TRUE_AND_FALSE, ItemDraft
from webapp.bank.formats.records import Record, Rejected, judged
from webapp.bank.kinds import Difficulty, Kind
from webapp.collector.sources.protocol import (
    Collected,
    Fetch,
    FetchError,
    LimitedError,
    Limits,
    Page,
    Reply,
    Strand,
    original_of,
)
from webapp.collector.sources.replies import look, value_of

TITLE = "Open Trivia DB"
LICENCE = "CC BY-SA 4.0"
ADDRESS = "https://opentdb.com"
MOST = 50
"""Questions in one call."""
SPACING = 5.5
"""Seconds: five are asked for between arrivals, and a call may be faster on its way than the one before."""
MOST_TROUBLES = 8
"""So often a strand begins anew without getting further than ever before; then somebody should look at it."""

SUCCESS, NO_RESULTS, INVALID, NO_TOKEN, TOKEN_EMPTY, TOO_FAST = range(6)


Given = TypeVar("Given", str, list[Any])


class Encoding(StrEnum):
    """How the texts travel; base64 is the safest, for every string of a record is encoded alike."""

    HTML = "html"
    URL_LEGACY = "urlLegacy"
    URL_3986 = "url3986"
    BASE64 = "base64"


def _from_base64(text: str) -> str:
    return base64.b64decode(text, validate=True).decode()


_DECODERS: dict[Encoding, Callable[[str], str]] = {
    Encoding.HTML: html.unescape,
    Encoding.URL_LEGACY: lambda text: unquote_plus(text, errors="strict"),
    Encoding.URL_3986: lambda text: unquote(text, errors="strict"),
    Encoding.BASE64: _from_base64,
}


@dataclass(frozen=True)
class _Progress:
    """How far a strand is.

    `amount` is what to ask for next at most; `falling`: an answer has shown that fewer than
    asked for are left, so each call asks for half of the last. `troubles` is how often the
    strand had to begin anew since it got further than ever, which is to `furthest`.
    """

    category: int
    count: int | None
    token: str | None = None
    returned: int = 0
    amount: int = MOST
    falling: bool = False
    furthest: int = 0
    troubles: int = 0

    @property
    def next_amount(self) -> int:
        """How many to ask for: what is left by the count, and one more to see that it is right."""
        left = MOST if self.count is None else self.count - self.returned
        if self.falling or self.count is None or left < 0:
            return self.amount
        return max(1, min(self.amount, left))


class OpenTriviaSource:
    """The whole of Open Trivia DB, category by category."""

    name: str = "opentdb"
    title: str = TITLE
    licence: str = LICENCE

    def __init__(
        self, address: str = ADDRESS, *, encoding: Encoding = Encoding.BASE64, spacing: float = SPACING
    ) -> None:
        """Read from `address`; `spacing` is in seconds between two calls."""
        self.address = address.rstrip("/")
        self.limits = Limits(spacing=spacing)
        self._encoding = encoding
        # What was read before listing was broken off: the next try goes on from there, or two
        # clients that share an address could keep each other from ever getting through a list.
        self._listed: list[tuple[int, str]] = []
        self._counts: dict[int, int | None] = {}

    def strands(self, fetch: Fetch) -> list[Strand]:
        """List the categories with their counts.

        Raises:
            LimitedError: when the source was asked too fast; another try goes on where this one stopped.
            FetchError: when the lists cannot be read.
        """
        self._listed = self._listed or self._categories(fetch)
        for number, _ in self._listed:
            if number not in self._counts:
                self._counts[number] = self._count(fetch, number)
        listed, counts = self._listed, self._counts
        self._listed, self._counts = [], {}
        return [Strand(str(one), asdict(_Progress(one, counts[one])), counts[one], name) for one, name in listed]

    def page(self, fetch: Fetch, strand: Strand) -> Page:
        """Take a token if the strand has none, else ask for questions.

        Raises:
            LimitedError: when the source was asked too fast; nothing was returned.
            FetchError: when the source refuses the call, or has failed too often in a row.
        """
        progress = _Progress(**strand.state)
        if progress.token is None:
            return Page((), asdict(replace(progress, token=self._new_token(fetch))))
        try:
            code, results = self._questions(fetch, progress)
        except LimitedError:
            raise
        except FetchError as error:
            if not error.transient:
                raise
            # The token may have moved on over questions that never arrived.
            return _anew(progress, error.reason)
        if code == NO_TOKEN:
            return _anew(progress, "the token is not known any more")
        after = _after(progress, code, len(results))
        records = tuple(self._collected(place, one) for place, one in enumerate(results, start=1))
        return Page(records, None if after is None else asdict(after))

    def resumed(self, strand: Strand) -> Strand:
        """Begin the strand anew: a page may have been returned and not stored, and the token will not repeat it."""
        progress = _Progress(**strand.state)
        return replace(strand, state=asdict(_Progress(progress.category, progress.count)))

    def _categories(self, fetch: Fetch) -> list[tuple[int, str]]:
        body = self._look(fetch, "api_category.php", {})
        try:
            return [(int(one["id"]), html.unescape(one["name"])) for one in body["trivia_categories"]]
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise FetchError(f"the list of categories cannot be read: {_short(body)}") from error

    def _count(self, fetch: Fetch, category: int) -> int | None:
        body = self._look(fetch, "api_count.php", {"category": str(category)})
        counts = body.get("category_question_count")
        count = counts.get("total_question_count") if isinstance(counts, dict) else None
        # Without a count the strand goes on until nothing comes.
        return count if isinstance(count, int) and count >= 0 else None

    def _new_token(self, fetch: Fetch) -> str:
        body = self._look(fetch, "api_token.php", {"command": "request"})
        token = body.get("token")
        if body.get("response_code") != SUCCESS or not isinstance(token, str) or not token:
            raise FetchError(f"no token was given: {_short(body)}")
        return token

    def _look(self, fetch: Fetch, page: str, parameters: dict[str, str]) -> dict[str, Any]:
        """Return the answer of a call that does no harm when it is repeated."""
        return _object(*look(fetch, f"{self.address}/{page}", parameters))

    def _questions(self, fetch: Fetch, progress: _Progress) -> tuple[int, list[Any]]:
        asked = {"amount": str(progress.next_amount), "category": str(progress.category), "token": str(progress.token)}
        if self._encoding is not Encoding.HTML:
            asked["encode"] = self._encoding
        reply = fetch(f"{self.address}/api.php", asked, repeatable=False)
        body = _object(reply, value_of(reply))
        code, results = body.get("response_code"), body.get("results")
        if code == INVALID:
            raise FetchError(
                f"the source calls these parameters invalid: amount {asked['amount']}, category {asked['category']}"
            )
        if code not in (SUCCESS, NO_RESULTS, NO_TOKEN, TOKEN_EMPTY) or not isinstance(results, list):
            raise FetchError(f"an answer that is not of the interface: {_short(body)}", transient=True)
        return code, results if code == SUCCESS else []

    def _collected(self, place: int, element: Any) -> Collected:
        return Collected(_record(place, element, _DECODERS[self._encoding]), None, original_of(element))


def _after(progress: _Progress, code: int, returned: int) -> _Progress | None:
    """Return how to go on after an answer; None when the strand is done.

    Too few left for what was asked is code 1 or 4, and no question at all: half as many are
    asked for until not even one comes. What the halves bring adds up to all but a few, which
    then come one by one. A count that was reached is tried with one more question.
    """
    asked = progress.next_amount
    if code != SUCCESS or returned == 0:
        return None if asked == 1 else replace(progress, amount=asked // 2, falling=True)
    amount = max(1, asked // 2) if progress.falling else MOST
    after = replace(progress, returned=progress.returned + returned, amount=amount)
    return replace(after, furthest=after.returned, troubles=0) if after.returned > after.furthest else after


def _anew(progress: _Progress, reason: str) -> Page:
    """Begin again with a new token.

    Raises:
        FetchError: when that was done too often and led nowhere.
    """
    troubles = progress.troubles + 1
    if troubles > MOST_TROUBLES:
        raise FetchError(
            f"category {progress.category} began anew {MOST_TROUBLES} times and came no further; last: {reason}",
            transient=True,
        )
    fresh = _Progress(progress.category, progress.count, furthest=progress.furthest, troubles=troubles)
    return Page((), asdict(fresh), restarts=True)


def _object(reply: Reply, value: Any) -> dict[str, Any]:
    """Return what an answer says.

    Raises:
        LimitedError: when it is "too fast", which may come with any status.
        FetchError: when it is not of the interface; transient, for the token may have moved.
    """
    if not isinstance(value, dict):
        raise FetchError(f"an answer that is not of the interface: {_short(value)}", transient=True)
    if value.get("response_code") == TOO_FAST:
        raise LimitedError("asked too fast (code 5)", retry_after=reply.retry_after)
    return value


def _record(place: int, element: Any, decode: Callable[[str], str]) -> Record:
    try:
        kind, stem, category, difficulty, right = (decode(_a(str, element[name])) for name in _FIELDS)
        wrong = [decode(_a(str, text)) for text in _a(list, element["incorrect_answers"])]
    except (KeyError, TypeError):
        return Rejected(place, f"A record has {', '.join(_FIELDS)} and incorrect_answers; this one has not.")
    except ValueError as error:
        return Rejected(place, f"A text cannot be decoded ({error}).")
    if kind not in _KINDS:
        return Rejected(place, f"{kind[:60]!r} is no type that is known here.")
    if difficulty not in set(Difficulty):
        return Rejected(place, f"{difficulty[:60]!r} is no difficulty.")
    choices = tuple(sorted(text.strip() for text in (right, *wrong)))
    if _KINDS[kind] is Kind.TRUE_FALSE and set(choices) == set(TRUE_AND_FALSE):
        choices = TRUE_AND_FALSE
    draft = ItemDraft(
        kind=_KINDS[kind],
        stem=stem,
        choices=choices,
        right=(choices.index(right.strip()),),
        category=category,
        difficulty=difficulty,
        source=TITLE,
        licence=LICENCE,
    )
    return judged(place, draft)


_FIELDS = ("type", "question", "category", "difficulty", "correct_answer")
_KINDS = {"multiple": Kind.SINGLE, "boolean": Kind.TRUE_FALSE}


def _a(kind: type[Given], value: Any) -> Given:
    if not isinstance(value, kind):
        raise TypeError(f"no {kind}")
    return value


def _short(body: Any) -> str:
    return original_of(body)[:100]
