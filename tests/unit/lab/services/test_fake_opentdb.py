from __future__ import annotations

import base64
import html
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import unquote, unquote_plus

import httpx2
import pytest

from webapp.lab.services.fake_opentdb import (
    CATEGORIES,
    ContractOptions,
    FakeOpenTdb,
    Fault,
    dedupe_keys,
    make_questions,
    unique_questions,
)

BANK = make_questions(60, 3)
BOOKS = [question for question in BANK if question.category == 10]


def token_of(server: FakeOpenTdb) -> str:
    return str(httpx2.get(f"{server.address}/api_token.php?command=request").json()["token"])


def ask(server: FakeOpenTdb, **query: Any) -> Any:
    return httpx2.get(f"{server.address}/api.php", params=query, timeout=2).json()


def test_a_bank_of_any_size_has_a_few_records_twice() -> None:
    bank = make_questions(5250)
    assert len(bank) == 5250
    assert 5000 < len(unique_questions(bank)) == len(dedupe_keys(bank)) < 5250
    assert {question.category for question in bank} == set(CATEGORIES)


@pytest.mark.parametrize(
    ("encode", "decode"),
    [
        ({}, html.unescape),
        ({"encode": "urlLegacy"}, unquote_plus),
        ({"encode": "url3986"}, unquote),
        ({"encode": "base64"}, lambda text: base64.b64decode(text).decode()),
    ],
)
def test_every_encoding_gives_the_same_texts(encode: dict[str, str], decode: Any) -> None:
    with FakeOpenTdb(BANK) as server:
        results = ask(server, amount=20, category=10, **encode)["results"]
    assert {decode(result["question"]) for result in results} == {question.question for question in BOOKS}
    assert {decode(result["category"]) for result in results} == {"Entertainment: Books"}
    assert {decode(result["type"]) for result in results} == {"multiple", "boolean"}


def test_the_default_encoding_is_html() -> None:
    with FakeOpenTdb(BANK) as server:
        text = str(ask(server, amount=50))
    for entity in ("&quot;", "&amp;", "&#039;", "&lt;", "&shy;", "&lrm;", "&amp;amp;", "&eacute;"):
        assert entity in text


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"amount": "x"},
        {"amount": 51},
        {"amount": 0},
        {"amount": 1, "category": 33},
        {"amount": 1, "difficulty": "odd"},
        {"amount": 1, "type": "open"},
    ],
)
def test_a_wrong_parameter_is_code_2(query: dict[str, Any]) -> None:
    with FakeOpenTdb(BANK) as server:
        assert ask(server, **query) == {"response_code": 2, "results": []}


@pytest.mark.parametrize("code", [1, 4])
def test_a_token_with_a_short_tail_gives_nothing_of_it(code: int) -> None:
    with FakeOpenTdb(BANK, ContractOptions(short_tail=code)) as server:
        token = token_of(server)
        first = ask(server, amount=15, category=10, token=token)["results"]
        assert ask(server, amount=6, category=10, token=token) == {"response_code": code, "results": []}
        rest = ask(server, amount=5, category=10, token=token)["results"]
        assert ask(server, amount=1, category=10, token=token)["response_code"] == 4
        reset = httpx2.get(f"{server.address}/api_token.php", params={"command": "reset", "token": token})
        assert reset.json() == {"response_code": 0, "token": token}
        assert ask(server, amount=20, category=10, token=token)["response_code"] == 0
    assert {html.unescape(result["question"]) for result in first + rest} == {question.question for question in BOOKS}


def test_more_than_there_are_is_code_1() -> None:
    with FakeOpenTdb(BANK) as server:
        assert ask(server, amount=21, category=10)["response_code"] == 1


def test_a_token_that_is_unknown_or_was_not_used_for_long_is_code_3() -> None:
    with FakeOpenTdb(BANK, ContractOptions(token_seconds=0.0)) as server:
        assert ask(server, amount=1, token="0" * 64)["response_code"] == 3
        assert ask(server, amount=1, token=token_of(server))["response_code"] == 3


@pytest.mark.parametrize("status", [200, 429])
def test_a_call_that_comes_too_early_is_code_5_for_all_clients_together(status: int) -> None:
    with FakeOpenTdb(BANK, ContractOptions(spacing=30, limited_status=status)) as server:
        with ThreadPoolExecutor(4) as pool:
            replies = list(pool.map(lambda _: httpx2.get(f"{server.address}/api.php?amount=1"), range(4)))
        assert sorted(reply.json()["response_code"] for reply in replies) == [0, 5, 5, 5]
        assert sorted({reply.status_code for reply in replies}) == sorted({200, status})
        assert "retry-after" not in replies[-1].headers
        assert len({call.client_port for call in server.calls}) == 4


def test_calls_for_tokens_may_be_free_of_the_limit() -> None:
    with FakeOpenTdb(BANK, ContractOptions(spacing=30, limit_all_calls=False)) as server:
        assert ask(server, amount=1, token=token_of(server), category=9)["response_code"] == 0
        assert token_of(server)


@pytest.mark.parametrize(("off", "count"), [(0, 20), (3, 23), (-3, 17)])
def test_the_count_may_be_wrong(off: int, count: int) -> None:
    with FakeOpenTdb(BANK, ContractOptions(count_error=off)) as server:
        body = httpx2.get(f"{server.address}/api_count.php?category=10").json()
    assert body["category_id"] == 10
    assert body["category_question_count"]["total_question_count"] == count


@pytest.mark.parametrize("fault", [Fault.ERROR, Fault.HTML, Fault.SILENCE, Fault.CUT, Fault.HALF, Fault.TRUNCATED])
def test_a_token_counts_what_was_returned_even_when_the_answer_was_lost(fault: Fault) -> None:
    with FakeOpenTdb(BANK, faults={1: fault}) as server:
        token = token_of(server)
        with pytest.raises((httpx2.HTTPError, ValueError)):
            httpx2.get(f"{server.address}/api.php?amount=20&category=10&token={token}", timeout=0.2).json()
        assert ask(server, amount=1, category=10, token=token)["response_code"] == 4
        assert [call.fault for call in server.calls] == [None, fault, None]


def test_a_token_may_be_lost() -> None:
    with FakeOpenTdb(BANK, faults=lambda number, path: Fault.LOST_TOKEN if path == "/api.php" else None) as server:
        assert ask(server, amount=1, token=token_of(server))["response_code"] == 3
