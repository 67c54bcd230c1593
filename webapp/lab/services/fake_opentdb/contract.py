"""The responses of Open Trivia DB, without HTTP. What is not known for certain is a `ContractOptions` field."""

from __future__ import annotations

import base64
import html
import random
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from html.entities import codepoint2name
from typing import Any
from urllib.parse import quote, quote_plus

from webapp.lab.services.fake_opentdb.questions import CATEGORIES, DIFFICULTIES, TYPES, OpenTdbQuestion

MAX_AMOUNT = 50
"""Questions in a response."""
ASCII = 127


@dataclass(frozen=True)
class ContractOptions:
    """Behaviour in which the real service may differ."""

    short_tail: int = 4
    """The code when a token has some questions left, but fewer than requested: 1 or 4."""
    limited_status: int = 429
    """HTTP status of a call that came too early: 429 or 200; the code is 5 either way."""
    limit_all_calls: bool = True
    """Calls for tokens, categories and counts are limited like those for questions."""
    count_refused_calls: bool = False
    """A call that came too early restarts the waiting time."""
    count_error: int = 0
    """By how much the count is too high or, below 0, too low."""
    empty_categories: int = 0
    """Number of categories without a question that are listed, too."""
    spacing: float = 0.0
    """Minimum seconds between the starts of two calls, over all clients."""
    token_seconds: float = 6 * 3600.0
    """A token that was not used for so long is forgotten."""
    hang_seconds: float = 30.0
    """Seconds after which a call that gets no answer is hung up."""


class Fault(StrEnum):
    """A fault that affects the response to a call which the server has processed."""

    ERROR = "HTTP 500"
    HTML = "a page instead of JSON"
    SILENCE = "no answer"
    CUT = "the connection is cut before the answer"
    HALF = "the connection is cut within the answer"
    TRUNCATED = "the JSON ends early"
    LOST_TOKEN = "the server has forgotten the token"  # noqa: S105 - the name of a fault
    LIMITED = "too early, whatever the clock says"


def _encode_entities(text: str) -> str:
    text = html.escape(text, quote=True).replace("&#x27;", "&#039;")
    return "".join(
        f"&{codepoint2name[ord(letter)]};" if ord(letter) > ASCII and ord(letter) in codepoint2name else letter
        for letter in text
    )


ENCODINGS: dict[str, Callable[[str], str]] = {
    "": _encode_entities,
    "urlLegacy": quote_plus,
    "url3986": lambda text: quote(text, safe="~"),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
}


@dataclass
class _Token:
    used: float
    returned: set[int] = field(default_factory=set)


class OpenTdbContract:
    """The contract without HTTP: takes a call and its time, returns a status and a body."""

    def __init__(self, bank: Sequence[OpenTdbQuestion], switches: ContractOptions, seed: int = 0) -> None:
        """Start without tokens; `seed` decides which questions are drawn."""
        self.bank = bank
        self.switches = switches
        self.tokens: dict[str, _Token] = {}
        self._random = random.Random(seed)
        self._last_call_at: float | None = None

    def answer(self, path: str, query: dict[str, str], now: float, fault: Fault | None = None) -> tuple[int, Any]:
        """Return the status and the body."""
        answers = {
            "/api.php": self._questions,
            "/api_token.php": self._token,
            "/api_category.php": self._categories,
            "/api_count.php": self._count,
        }
        if path not in answers:
            return 404, {"error": "not found"}
        limited = path == "/api.php" or self.switches.limit_all_calls
        if fault is Fault.LIMITED or (limited and self._is_early(now)):
            return self.switches.limited_status, _response(5)
        if fault is Fault.LOST_TOKEN:
            self.tokens.pop(query.get("token", ""), None)
        return 200, answers[path](query, now)

    def _is_early(self, now: float) -> bool:
        early = self._last_call_at is not None and now - self._last_call_at < self.switches.spacing
        if not early or self.switches.count_refused_calls:
            self._last_call_at = now
        return early

    def _questions(self, query: dict[str, str], now: float) -> Any:
        amount, encode = _parse_int(query.get("amount")), query.get("encode", "")
        if amount is None or not 1 <= amount <= MAX_AMOUNT or encode not in ENCODINGS or not _is_valid_filter(query):
            return _response(2)
        token = self._get_live_token(query["token"], now) if "token" in query else _Token(now)
        if token is None:
            return _response(3)
        matching = [number for number, question in enumerate(self.bank) if _matches(question, query)]
        left = [number for number in matching if number not in token.returned]
        if len(matching) < amount or len(left) < amount:
            return _response(self._too_few_code(len(matching), len(left)))
        chosen = self._random.sample(left, amount)
        token.returned.update(chosen)
        return _response(0, [_encode_question(self.bank[number], ENCODINGS[encode]) for number in chosen])

    def _too_few_code(self, matching: int, left: int) -> int:
        if matching and not left:
            return 4
        return 1 if left == matching else self.switches.short_tail

    def _token(self, query: dict[str, str], now: float) -> Any:
        if query.get("command") == "request":
            name = secrets.token_hex(32)
            self.tokens[name] = _Token(now)
            return {"response_code": 0, "response_message": "Token Generated Successfully!", "token": name}
        if query.get("command") != "reset":
            return {"response_code": 2, "response_message": "Invalid command."}
        token = self._get_live_token(query.get("token", ""), now)
        if token is None:
            return {"response_code": 3, "response_message": "Token not found."}
        token.returned.clear()
        return {"response_code": 0, "token": query["token"]}

    def _get_live_token(self, name: str, now: float) -> _Token | None:
        token = self.tokens.get(name)
        if token is None or now - token.used > self.switches.token_seconds:
            self.tokens.pop(name, None)
            return None
        token.used = now
        return token

    def _categories(self, query: dict[str, str], now: float) -> Any:
        used = {question.category for question in self.bank}
        empty = [number for number in CATEGORIES if number not in used]
        listed = sorted(used.union(empty[: self.switches.empty_categories]))
        return {"trivia_categories": [{"id": number, "name": CATEGORIES[number]} for number in listed]}

    def _count(self, query: dict[str, str], now: float) -> Any:
        category = _parse_int(query.get("category"))
        if category not in CATEGORIES:
            return {"response_code": 2}
        difficulties = [question.difficulty for question in self.bank if question.category == category]
        counts = {f"total_{level}_question_count": difficulties.count(level) for level in DIFFICULTIES}
        total = max(0, len(difficulties) + self.switches.count_error) if difficulties else 0
        return {"category_id": category, "category_question_count": {"total_question_count": total, **counts}}


def _response(code: int, results: Sequence[Any] = ()) -> Any:
    return {"response_code": code, "results": list(results)}


def _parse_int(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None


def _is_valid_filter(parameters: dict[str, str]) -> bool:
    return (
        ("category" not in parameters or _parse_int(parameters["category"]) in CATEGORIES)
        and parameters.get("difficulty", "easy") in DIFFICULTIES
        and parameters.get("type", "multiple") in TYPES
    )


def _matches(question: OpenTdbQuestion, query: dict[str, str]) -> bool:
    return (
        str(question.category) == query.get("category", str(question.category))
        and question.difficulty == query.get("difficulty", question.difficulty)
        and question.type == query.get("type", question.type)
    )


def _encode_question(question: OpenTdbQuestion, encode: Callable[[str], str]) -> Any:
    return {
        "type": encode(question.type),
        "difficulty": encode(question.difficulty),
        "category": encode(CATEGORIES[question.category]),
        "question": encode(question.question),
        "correct_answer": encode(question.correct),
        "incorrect_answers": [encode(text) for text in question.incorrect],
    }
