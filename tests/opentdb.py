"""A stand-in for Open Trivia DB over real HTTP, true to its contract in every point.

By hand: `python -m tests.opentdb --port 8765 --questions 5250 --spacing 5`.

What nobody knows for certain of the real one is a field of `Switches`. Faults come by plan,
after the server has done what it was asked for: the token has moved, and the answer is lost.
"""

from __future__ import annotations

import argparse
import base64
import html
import json
import random
import secrets
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from html.entities import codepoint2name
from http.server import BaseHTTPRequestHandler
from typing import Any, Self
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit

from webapp.bank.identity import dedupe_key

_NAMES = """General Knowledge|Entertainment: Books|Entertainment: Film|Entertainment: Music|
Entertainment: Musicals & Theatres|Entertainment: Television|Entertainment: Video Games|Entertainment: Board Games|
Science & Nature|Science: Computers|Science: Mathematics|Mythology|Sports|Geography|History|Politics|Art|Celebrities|
Animals|Vehicles|Entertainment: Comics|Science: Gadgets|Entertainment: Japanese Anime & Manga|
Entertainment: Cartoon & Animations"""
CATEGORIES = dict(enumerate((name.strip() for name in _NAMES.split("|")), start=9))
DIFFICULTIES = ("easy", "medium", "hard")
TYPES = ("multiple", "boolean")
MOST = 50


@dataclass(frozen=True)
class Question:
    """A question as its author wrote it, with no encoding."""

    category: int
    type: str
    difficulty: str
    question: str
    correct: str
    incorrect: tuple[str, ...]


_STEMS = (
    "What is the name of number {0}?",
    'Who said "{0} & {0}", and wasn\'t right?',
    "Which hy\u00adphen is soft in {0}?",
    "Which mark\u200e comes before {0}?",
    "What does <b>{0}</b> look like?",
    "How is &amp; number {0} shown?",
    "Où est le café n° {0}, près de π?",
    "Is 50% + {0}/7 = 100%?",
    "Which animal is 🦊 number {0}?",
    "In {0}, who had said so?",
)


def questions(count: int, categories: int | Sequence[int] = 24, seed: int = 0) -> tuple[Question, ...]:
    """Make a bank: all kinds of characters, some records twice, some stems with other options again."""
    ids = list(CATEGORIES)[:categories] if isinstance(categories, int) else list(categories)
    chance = random.Random(seed)
    bank: list[Question] = []
    for number in range(count):
        question = _question(number, ids[number % len(ids)], chance)
        earlier = bank[number - len(ids)] if number >= len(ids) else None
        if earlier and number % 25 == 24:
            question = earlier
        elif earlier and number % 25 == 12 and question.type == "multiple":
            question = replace(question, question=earlier.question)
        bank.append(question)
    return tuple(bank)


def _question(number: int, category: int, chance: random.Random) -> Question:
    stem = _STEMS[number % len(_STEMS)].format(number)
    difficulty = chance.choice(DIFFICULTIES)
    if number % 4 == 3:
        correct, wrong = chance.sample(("True", "False"), 2)
        return Question(category, "boolean", difficulty, stem, correct, (wrong,))
    wrong = (f"{number} & more", f"'{number}' < {number + 1}", f"naïve {number}")
    return Question(category, "multiple", difficulty, stem, f"Number {number}", wrong)


def records(bank: Iterable[Question]) -> set[Question]:
    """Return what a collection must have in the end: every record once."""
    return set(bank)


def keys(bank: Iterable[Question]) -> set[bytes]:
    """Return the dedupe keys of every record."""
    return {dedupe_key(one.question, (one.correct, *one.incorrect), (0,)) for one in bank}


@dataclass(frozen=True)
class Switches:
    """What the real one may do so or so."""

    short_tail: int = 4
    """The code when a token has some questions left, but fewer than are asked for: 1 or 4."""
    limited_status: int = 429
    """HTTP status of a call that came too early: 429 or 200; the code is 5 either way."""
    limits_all: bool = True
    """Calls for tokens, categories and counts are limited like those for questions."""
    refused_count: bool = False
    """A call that came too early makes the next one wait anew."""
    count_off: int = 0
    """How much the count is too high, or, below 0, too low."""
    empty_categories: int = 0
    """So many categories without a question are listed too."""
    spacing: float = 0.0
    """Seconds that must lie between the starts of two calls, over all clients."""
    token_seconds: float = 6 * 3600.0
    """A token that was not used for so long is gone."""
    silence: float = 30.0
    """Seconds after which a call that gets no answer is hung up."""


class Fault(StrEnum):
    """What happens to an answer that the server has made."""

    ERROR = "HTTP 500"
    HTML = "a page instead of JSON"
    SILENCE = "no answer"
    CUT = "the connection is cut before the answer"
    HALF = "the connection is cut within the answer"
    TRUNCATED = "the JSON ends early"
    LOST_TOKEN = "the server has forgotten the token"
    LIMITED = "too early, whatever the clock says"


Plan = Mapping[int, Fault] | Callable[[int, str], Fault | None]
"""By the number of the call, from 0; a callable gets the path too."""


@dataclass(frozen=True)
class Call:
    """A call as it came in; `arrived` by the monotonic clock, `code` what was answered or would have been."""

    number: int
    arrived: float
    path: str
    query: dict[str, str]
    status: int
    code: int | None
    client_port: int
    fault: Fault | None


def _entities(text: str) -> str:
    text = html.escape(text, quote=True).replace("&#x27;", "&#039;")
    return "".join(
        f"&{codepoint2name[ord(one)]};" if ord(one) > 127 and ord(one) in codepoint2name else one for one in text
    )


ENCODINGS: dict[str, Callable[[str], str]] = {
    "": _entities,
    "urlLegacy": quote_plus,
    "url3986": lambda text: quote(text, safe="~"),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
}


@dataclass
class _Token:
    used: float
    returned: set[int] = field(default_factory=set)


class Interface:
    """The contract without HTTP: a call and its time in, a status and a body out."""

    def __init__(self, bank: Sequence[Question], switches: Switches, seed: int = 0) -> None:
        self.bank = bank
        self.switches = switches
        self.tokens: dict[str, _Token] = {}
        self._chance = random.Random(seed)
        self._last: float | None = None

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
        limited = path == "/api.php" or self.switches.limits_all
        if fault is Fault.LIMITED or (limited and self._is_early(now)):
            return self.switches.limited_status, _results(5)
        if fault is Fault.LOST_TOKEN:
            self.tokens.pop(query.get("token", ""), None)
        return 200, answers[path](query, now)

    def _is_early(self, now: float) -> bool:
        early = self._last is not None and now - self._last < self.switches.spacing
        if not early or self.switches.refused_count:
            self._last = now
        return early

    def _questions(self, query: dict[str, str], now: float) -> Any:
        amount, encode = _whole(query.get("amount")), query.get("encode", "")
        if amount is None or not 1 <= amount <= MOST or encode not in ENCODINGS or not _known(query):
            return _results(2)
        token = self._alive(query["token"], now) if "token" in query else _Token(now)
        if token is None:
            return _results(3)
        matching = [number for number, one in enumerate(self.bank) if _matches(one, query)]
        left = [number for number in matching if number not in token.returned]
        if len(matching) < amount or len(left) < amount:
            return _results(self._code_of_too_few(len(matching), len(left)))
        chosen = self._chance.sample(left, amount)
        token.returned.update(chosen)
        return _results(0, [_encoded(self.bank[number], ENCODINGS[encode]) for number in chosen])

    def _code_of_too_few(self, matching: int, left: int) -> int:
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
        token = self._alive(query.get("token", ""), now)
        if token is None:
            return {"response_code": 3, "response_message": "Token not found."}
        token.returned.clear()
        return {"response_code": 0, "token": query["token"]}

    def _alive(self, name: str, now: float) -> _Token | None:
        token = self.tokens.get(name)
        if token is None or now - token.used > self.switches.token_seconds:
            self.tokens.pop(name, None)
            return None
        token.used = now
        return token

    def _categories(self, query: dict[str, str], now: float) -> Any:
        used = {one.category for one in self.bank}
        empty = [number for number in CATEGORIES if number not in used]
        listed = sorted(used.union(empty[: self.switches.empty_categories]))
        return {"trivia_categories": [{"id": number, "name": CATEGORIES[number]} for number in listed]}

    def _count(self, query: dict[str, str], now: float) -> Any:
        category = _whole(query.get("category"))
        if category not in CATEGORIES:
            return {"response_code": 2}
        found = [one.difficulty for one in self.bank if one.category == category]
        counts = {f"total_{level}_question_count": found.count(level) for level in DIFFICULTIES}
        total = max(0, len(found) + self.switches.count_off) if found else 0
        return {"category_id": category, "category_question_count": {"total_question_count": total, **counts}}


def _results(code: int, results: Sequence[Any] = ()) -> Any:
    return {"response_code": code, "results": list(results)}


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None


def _known(query: dict[str, str]) -> bool:
    return (
        ("category" not in query or _whole(query["category"]) in CATEGORIES)
        and query.get("difficulty", "easy") in DIFFICULTIES
        and query.get("type", "multiple") in TYPES
    )


def _matches(one: Question, query: dict[str, str]) -> bool:
    return (
        str(one.category) == query.get("category", str(one.category))
        and one.difficulty == query.get("difficulty", one.difficulty)
        and one.type == query.get("type", one.type)
    )


def _encoded(one: Question, encode: Callable[[str], str]) -> Any:
    return {
        "type": encode(one.type),
        "difficulty": encode(one.difficulty),
        "category": encode(CATEGORIES[one.category]),
        "question": encode(one.question),
        "correct_answer": encode(one.correct),
        "incorrect_answers": [encode(text) for text in one.incorrect],
    }


class StandIn:
    """The server: `with StandIn(questions(60, 3)) as server: get(f"{server.address}/api.php?amount=10")`."""

    def __init__(
        self,
        bank: Sequence[Question],
        switches: Switches = Switches(),
        faults: Plan | None = None,
        port: int = 0,
        seed: int = 0,
    ) -> None:
        self.interface = Interface(bank, switches, seed)
        self.switches = switches
        self.faults: Plan = faults or {}
        self.calls: list[Call] = []
        self.closing = threading.Event()
        self._one_at_a_time = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.stand_in = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()
        self._thread.join()

    def take(self, path: str, query: dict[str, str], client_port: int) -> tuple[Fault | None, int, bytes]:
        """Answer a call and write it down."""
        with self._one_at_a_time:
            now, number = time.monotonic(), len(self.calls)
            fault = self.faults(number, path) if callable(self.faults) else self.faults.get(number)
            status, body = self.interface.answer(path, query, now, fault)
            code = body.get("response_code")
            self.calls.append(Call(number, now, path, query, status, code, client_port, fault))
        return fault, status, json.dumps(body, ensure_ascii=False).encode()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 128
    stand_in: StandIn

    def __init__(self, *arguments: Any) -> None:
        self.open: set[socket.socket] = set()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that have hung up."""

    def hang_up(self) -> None:
        """End the connections that clients keep open, so that their threads end."""
        for one in list(self.open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    server: _Server

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        stand_in = self.server.stand_in
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        fault, status, body = stand_in.take(parts.path, query, self.client_address[1])
        kind = "application/json"
        if fault is Fault.SILENCE:
            stand_in.closing.wait(stand_in.switches.silence)
        if fault in {Fault.SILENCE, Fault.CUT}:
            self.close_connection = True
            return
        if fault is Fault.ERROR:
            status, kind, body = 500, "text/html", b"<h1>Internal Server Error</h1>"
        elif fault is Fault.HTML:
            kind, body = "text/html", b"<!doctype html><title>Just a moment...</title>"
        elif fault is Fault.TRUNCATED:
            body = body[: len(body) // 2]
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault is Fault.HALF:
            self.close_connection = True
            body = body[: len(body) // 2]
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """The log is `StandIn.calls`."""


def main() -> None:
    """Serve until interrupted, and print each call."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--questions", type=int, default=5250)
    parser.add_argument("--spacing", type=float, default=5.0, help="seconds between two calls")
    given = parser.parse_args()
    switches = Switches(spacing=given.spacing)
    with StandIn(questions(given.questions), switches, port=given.port) as server:
        print(server.address, flush=True)  # noqa: T201
        shown = 0
        with suppress(KeyboardInterrupt):
            while True:
                time.sleep(0.2)
                for call in server.calls[shown:]:
                    print(f"{call.arrived:.3f} {call.path} {call.query} {call.status} {call.code}", flush=True)  # noqa: T201
                    shown += 1


if __name__ == "__main__":
    main()
