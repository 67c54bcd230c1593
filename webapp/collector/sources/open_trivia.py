"""Open Trivia DB: no ids, no pages, random order; a session token excludes the questions that it has returned.

A partition is a category with a token of its own. Each step is one call: a token, then
questions until none is left. The API does not reliably tell how many are left, so its count is
only used as long as questions are returned; see `_next_state`.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, TypeVar
from urllib.parse import unquote, unquote_plus

from webapp.bank.formats.parse_result import Record, Rejected, validate_record
from webapp.bank.item_draft import TRUE_AND_FALSE, ItemDraft
from webapp.bank.item_kinds import Difficulty, Kind
from webapp.collector.sources.base import (
    CollectedRecord,
    Fetch,
    FetchError,
    Partition,
    RateLimitedError,
    RecordPage,
    SourceLimits,
    SourceResponse,
    compact_json,
)
from webapp.collector.sources.responses import fetch_json, parse_response

TITLE = "Open Trivia DB"
LICENCE = "CC BY-SA 4.0"
ADDRESS = "https://opentdb.com"
MAX_QUESTIONS_PER_CALL = 50
DEFAULT_SPACING = 5.5
"""Seconds: the API requires five between arrivals, and a call may be faster on its way than the one before."""
MAX_RESTARTS = 8
"""How often a partition begins again without returning more than ever before, until the run fails."""

SUCCESS, NO_RESULTS, INVALID_PARAMETER, TOKEN_NOT_FOUND, TOKEN_EMPTY, RATE_LIMIT = range(6)


Expected = TypeVar("Expected", str, list[Any])


class Encoding(StrEnum):
    """The encoding of texts in responses; base64 is the safest, because it encodes every string of a record."""

    HTML = "html"
    URL_LEGACY = "urlLegacy"
    URL_3986 = "url3986"
    BASE64 = "base64"


def _decode_base64(text: str) -> str:
    return base64.b64decode(text, validate=True).decode()


_DECODERS: dict[Encoding, Callable[[str], str]] = {
    Encoding.HTML: html.unescape,
    Encoding.URL_LEGACY: lambda text: unquote_plus(text, errors="strict"),
    Encoding.URL_3986: lambda text: unquote(text, errors="strict"),
    Encoding.BASE64: _decode_base64,
}


@dataclass(frozen=True)
class _CategoryState:
    """The progress of a partition.

    `amount` is the largest number to request next; `falling`: a response has shown that fewer than
    the requested questions are left, so each call requests half of the last. `troubles` is how often the
    partition was restarted since it reached `furthest`, the most that it ever returned.
    The names are those of stored states.
    """

    category: int
    count: int | None
    token: str | None = None
    returned: int = 0
    amount: int = MAX_QUESTIONS_PER_CALL
    falling: bool = False
    furthest: int = 0
    troubles: int = 0

    @property
    def next_amount(self) -> int:
        """How many questions to request: those that are left by the count, then one more to verify the count."""
        remaining = MAX_QUESTIONS_PER_CALL if self.count is None else self.count - self.returned
        if self.falling or self.count is None or remaining < 0:
            return self.amount
        return max(1, min(self.amount, remaining))


class OpenTriviaSource:
    """All questions of Open Trivia DB, category by category."""

    name: str = "opentdb"
    title: str = TITLE
    licence: str = LICENCE

    def __init__(
        self, address: str = ADDRESS, *, encoding: Encoding = Encoding.BASE64, spacing: float = DEFAULT_SPACING
    ) -> None:
        """Read from `address`; `spacing` is in seconds between two calls."""
        self.address = address.rstrip("/")
        self.limits = SourceLimits(spacing=spacing)
        self._encoding = encoding
        # The part of the list that was read before an interruption. The next attempt continues after it; otherwise
        # two clients that share an IP address could prevent each other from ever completing the list.
        self._known_categories: list[tuple[int, str]] = []
        self._known_counts: dict[int, int | None] = {}

    def list_partitions(self, fetch: Fetch) -> list[Partition]:
        """List the categories with their counts.

        Raises:
            RateLimitedError: when the call came too early; another attempt continues where this one stopped.
            FetchError: when the lists cannot be read.
        """
        self._known_categories = self._known_categories or self._fetch_categories(fetch)
        for number, _ in self._known_categories:
            if number not in self._known_counts:
                self._known_counts[number] = self._fetch_count(fetch, number)
        categories, counts = self._known_categories, self._known_counts
        self._known_categories, self._known_counts = [], {}
        return [
            Partition(str(number), asdict(_CategoryState(number, counts[number])), counts[number], name)
            for number, name in categories
        ]

    def fetch_page(self, fetch: Fetch, partition: Partition) -> RecordPage:
        """Request a token if the partition has none, else questions.

        Raises:
            RateLimitedError: when the call came too early; nothing was returned.
            FetchError: when the source refuses the call, or has failed too often in a row.
        """
        state = _CategoryState(**partition.state)
        if state.token is None:
            return RecordPage((), asdict(replace(state, token=self._request_token(fetch))))
        try:
            code, results = self._fetch_questions(fetch, state)
        except RateLimitedError:
            raise
        except FetchError as error:
            if not error.transient:
                raise
            # The token may exclude questions now that never arrived.
            return _restart(state, error.reason)
        if code == TOKEN_NOT_FOUND:
            return _restart(state, "the token is no longer known")
        next_state = _next_state(state, code, len(results))
        records = tuple(
            self._to_collected_record(position, element) for position, element in enumerate(results, start=1)
        )
        return RecordPage(records, None if next_state is None else asdict(next_state))

    def resume_partition(self, partition: Partition) -> Partition:
        """Begin again: a page may have been returned and not stored, and the token excludes its questions."""
        state = _CategoryState(**partition.state)
        return replace(partition, state=asdict(_CategoryState(state.category, state.count)))

    def _fetch_categories(self, fetch: Fetch) -> list[tuple[int, str]]:
        body = self._fetch_object(fetch, "api_category.php", {})
        try:
            return [(int(entry["id"]), html.unescape(entry["name"])) for entry in body["trivia_categories"]]
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise FetchError(f"the list of categories cannot be read: {_excerpt(body)}") from error

    def _fetch_count(self, fetch: Fetch, category: int) -> int | None:
        body = self._fetch_object(fetch, "api_count.php", {"category": str(category)})
        counts = body.get("category_question_count")
        count = counts.get("total_question_count") if isinstance(counts, dict) else None
        # Without a count, questions are requested until none is returned.
        return count if isinstance(count, int) and count >= 0 else None

    def _request_token(self, fetch: Fetch) -> str:
        body = self._fetch_object(fetch, "api_token.php", {"command": "request"})
        token = body.get("token")
        if body.get("response_code") != SUCCESS or not isinstance(token, str) or not token:
            raise FetchError(f"the source returned no token: {_excerpt(body)}")
        return token

    def _fetch_object(self, fetch: Fetch, page: str, parameters: dict[str, str]) -> dict[str, Any]:
        """Return the response of an idempotent call."""
        return _require_object(*fetch_json(fetch, f"{self.address}/{page}", parameters))

    def _fetch_questions(self, fetch: Fetch, state: _CategoryState) -> tuple[int, list[Any]]:
        parameters = {"amount": str(state.next_amount), "category": str(state.category), "token": str(state.token)}
        if self._encoding is not Encoding.HTML:
            parameters["encode"] = self._encoding
        response = fetch(f"{self.address}/api.php", parameters, idempotent=False)
        body = _require_object(response, parse_response(response))
        code, results = body.get("response_code"), body.get("results")
        if code == INVALID_PARAMETER:
            amount, category = parameters["amount"], parameters["category"]
            raise FetchError(f"the source calls these parameters invalid: amount {amount}, category {category}")
        if code not in (SUCCESS, NO_RESULTS, TOKEN_NOT_FOUND, TOKEN_EMPTY) or not isinstance(results, list):
            raise FetchError(f"an unexpected response: {_excerpt(body)}", transient=True)
        return code, results if code == SUCCESS else []

    def _to_collected_record(self, position: int, element: Any) -> CollectedRecord:
        return CollectedRecord(_parse_record(position, element, _DECODERS[self._encoding]), None, compact_json(element))


def _next_state(state: _CategoryState, code: int, returned: int) -> _CategoryState | None:
    """Return the state after a response; None when the partition is done.

    When fewer questions are left than were requested, the API returns code 1 or 4 and no question at all: half as many
    are requested until not even one is returned. The halves add up to all but a few, which are then returned one by
    one. When the count is reached, one more question is requested.
    """
    requested = state.next_amount
    if code != SUCCESS or returned == 0:
        return None if requested == 1 else replace(state, amount=requested // 2, falling=True)
    amount = max(1, requested // 2) if state.falling else MAX_QUESTIONS_PER_CALL
    after = replace(state, returned=state.returned + returned, amount=amount)
    return replace(after, furthest=after.returned, troubles=0) if after.returned > after.furthest else after


def _restart(state: _CategoryState, reason: str) -> RecordPage:
    """Begin again with a new token.

    Raises:
        FetchError: when that was done too often without progress.
    """
    restarts = state.troubles + 1
    if restarts > MAX_RESTARTS:
        raise FetchError(
            f"category {state.category} was restarted {MAX_RESTARTS} times without progress; last: {reason}",
            transient=True,
        )
    restarted = _CategoryState(state.category, state.count, furthest=state.furthest, troubles=restarts)
    return RecordPage((), asdict(restarted), restarts=True)


def _require_object(response: SourceResponse, value: Any) -> dict[str, Any]:
    """Return the object of a response.

    Raises:
        RateLimitedError: when the call came too early, which the API may say with any status.
        FetchError: when it is not an object; transient, because the token may exclude questions now.
    """
    if not isinstance(value, dict):
        raise FetchError(f"an unexpected response: {_excerpt(value)}", transient=True)
    if value.get("response_code") == RATE_LIMIT:
        raise RateLimitedError("too many calls (code 5)", retry_after=response.retry_after)
    return value


def _parse_record(position: int, element: Any, decode: Callable[[str], str]) -> Record:
    try:
        kind, stem, category, difficulty, right = (decode(_expect_type(str, element[name])) for name in _FIELDS)
        wrong = [decode(_expect_type(str, text)) for text in _expect_type(list, element["incorrect_answers"])]
    except (KeyError, TypeError):
        return Rejected(position, f"A record has {', '.join(_FIELDS)} and incorrect_answers; this one has not.")
    except ValueError as error:
        return Rejected(position, f"A text cannot be decoded ({error}).")
    if kind not in _KINDS:
        return Rejected(position, f"{kind[:60]!r} is no type that is known here.")
    if difficulty not in set(Difficulty):
        return Rejected(position, f"{difficulty[:60]!r} is no difficulty.")
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
    return validate_record(position, draft)


_FIELDS = ("type", "question", "category", "difficulty", "correct_answer")
_KINDS = {"multiple": Kind.SINGLE, "boolean": Kind.TRUE_FALSE}


def _expect_type(kind: type[Expected], value: Any) -> Expected:
    if not isinstance(value, kind):
        raise TypeError(f"no {kind}")
    return value


def _excerpt(body: Any) -> str:
    return compact_json(body)[:100]
