from __future__ import annotations

import base64
import json
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.clock import SettableClock
from tests.support.narrowing import not_none
from tests.unit.collector import source_driver
from tests.unit.collector.source_driver import (
    ANYTHING,
    HttpFetch,
    collect,
    keys_of,
    list_partitions,
    pages_of,
    reasons_of,
)
from webapp.bank.formats.parse_result import Accepted, Rejected
from webapp.bank.item_draft import ItemDraft
from webapp.collector.sources.base import CollectedRecord, FetchError, Partition, RateLimitedError, SourceResponse
from webapp.collector.sources.open_trivia import MAX_RESTARTS, Encoding, OpenTriviaSource
from webapp.lab.services.fake_opentdb import (
    CATEGORIES,
    ContractOptions,
    FakeOpenTdb,
    Fault,
    FaultPlan,
    dedupe_keys,
    make_questions,
)

SHORT_TIMEOUT = 0.05
"""Time-out in seconds of a call that gets no response."""
BANK = make_questions(75, [9, 9, 9, 9, 10])
"""Sixty in one category, which are two pages, and fifteen in another."""
ALL_CONTRACTS = [
    ContractOptions(
        short_tail=tail,
        limited_status=status,
        limit_all_calls=everything,
        count_refused_calls=refused,
        count_error=off,
        empty_categories=empty,
        spacing=4.0,
    )
    for tail, status, everything, refused, off, empty in product(
        (1, 4), (200, 429), (True, False), (True, False), (0, 60, -4), (0, 1)
    )
]


@pytest.fixture
def waits_by_the_clock(clock: SettableClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the waits between calls pass at once; the fake server uses the same clock."""
    monkeypatch.setattr(source_driver, "sleep", clock.advance)


def collected(
    contract: ContractOptions | None = None, faults: FaultPlan | None = None, spacing: float = 0.0
) -> tuple[list[CollectedRecord], FakeOpenTdb]:
    def timeout() -> float:
        plan, number = server.faults, len(server.calls)
        fault = plan(number, "") if callable(plan) else plan.get(number)
        return SHORT_TIMEOUT if fault is Fault.SILENCE else source_driver.TIMEOUT

    with FakeOpenTdb(BANK, contract or ContractOptions(), faults) as server, HttpFetch(spacing, timeout) as fetch:
        records = collect(OpenTriviaSource(server.address), fetch, wait=2 * spacing)
    assert reasons_of(records) == []
    return records, server


class Answers:
    """A fetch that returns the same bytes for every call."""

    def __init__(self, *results: Any, code: Any = 0, status: int = 200, **headers: str) -> None:
        self.response = SourceResponse(
            status, headers, json.dumps({"response_code": code, "results": results}).encode()
        )

    def __call__(self, *_: Any, **__: Any) -> SourceResponse:
        return self.response


WITH_TOKEN = Partition("9", {"category": 9, "count": 5, "token": "t"})


def test_the_categories_are_the_strands_with_their_counts() -> None:
    with FakeOpenTdb(make_questions(240)) as server, HttpFetch() as fetch:
        partitions = OpenTriviaSource(server.address).list_partitions(fetch)
    assert {partition.key: partition.title for partition in partitions} == {
        str(number): name for number, name in CATEGORIES.items()
    }
    assert {partition.expected for partition in partitions} == {10}
    assert json.loads(json.dumps(partitions[0].state)) == partitions[0].state


@pytest.mark.usefixtures("waits_by_the_clock")
@pytest.mark.parametrize("chunk", range(8))
def test_whatever_the_source_does_where_nobody_knows_every_record_is_collected(chunk: int) -> None:
    for contract in ALL_CONTRACTS[chunk::8]:
        records, _ = collected(contract, spacing=5.0)
        assert keys_of(records) == dedupe_keys(BANK), contract
        assert len(records) == len(BANK), contract


@pytest.mark.parametrize("tail", [1, 4])
@pytest.mark.parametrize("off", [1, 2, 12, 13, 49, 50, -1, -2, -10, -15, -59, -60])
def test_however_wrong_the_count_is_every_record_is_collected_once(tail: int, off: int) -> None:
    records, _ = collected(ContractOptions(short_tail=tail, count_error=off))
    assert keys_of(records) == dedupe_keys(BANK)
    assert len(records) == len(BANK)


@pytest.mark.usefixtures("waits_by_the_clock")
@pytest.mark.parametrize("status", [200, 429])
@pytest.mark.parametrize("everything", [True, False])
@pytest.mark.parametrize("refused_count", [True, False])
def test_being_too_fast_loses_nothing(status: int, everything: bool, refused_count: bool) -> None:
    contract = ContractOptions(
        spacing=5.0, limited_status=status, limit_all_calls=everything, count_refused_calls=refused_count
    )
    plan = dict.fromkeys((0, 3, 4, 9), Fault.LIMITED)
    with FakeOpenTdb(BANK, contract, plan) as server, HttpFetch() as fetch:
        records = collect(OpenTriviaSource(server.address), fetch, wait=7.0)
    assert keys_of(records) == dedupe_keys(BANK)
    assert len(records) == len(BANK)
    assert [call.code for call in server.calls].count(5) > len(plan)


def test_strands_side_by_side_keep_the_spacing_together() -> None:
    bank = make_questions(100, 5)
    with FakeOpenTdb(bank, ContractOptions(spacing=0.02)) as server, HttpFetch(spacing=0.03) as fetch:
        records = collect(OpenTriviaSource(server.address), fetch, wait=0.03, threads=5)
    assert keys_of(records) == dedupe_keys(bank)
    assert len(records) == len(bank)


def test_a_true_count_costs_one_call_more_than_the_questions_need() -> None:
    _, server = collected()
    assert [call.query["amount"] for call in server.calls if call.path == "/api.php"] == ["50", "10", "1", "15", "1"]


@pytest.mark.parametrize("fault", Fault)
def test_a_fault_at_any_call_loses_nothing(fault: Fault) -> None:
    calls = len(collected()[1].calls)
    for number in range(calls):
        records, server = collected(faults={number: fault})
        assert server.calls[number].fault is fault
        assert keys_of(records) == dedupe_keys(BANK), number


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("tail", [1, 4])
def test_a_fault_at_every_thirteenth_call_loses_nothing(fault: Fault, tail: int) -> None:
    faults = lambda number, path: fault if number % 13 == 12 else None  # noqa: E731
    records, _ = collected(ContractOptions(short_tail=tail, count_error=9), faults)
    assert keys_of(records) == dedupe_keys(BANK)


def test_a_source_that_always_fails_is_given_up() -> None:
    with pytest.raises(FetchError, match=f"was restarted {MAX_RESTARTS} times without progress; last: HTTP 500"):
        collected(faults=lambda number, path: Fault.ERROR if path == "/api.php" else None)


def test_a_page_that_always_fails_is_given_up_though_those_before_it_come() -> None:
    with FakeOpenTdb(BANK) as server, HttpFetch() as fetch:
        server.faults = lambda number, path: (
            Fault.ERROR if path == "/api.php" and server.calls[-1].path == "/api.php" else None
        )
        with pytest.raises(FetchError, match="without progress"):
            collect(OpenTriviaSource(server.address), fetch)


def test_a_token_that_was_not_used_for_long_is_replaced() -> None:
    with FakeOpenTdb(BANK, ContractOptions(token_seconds=0.2)) as server, HttpFetch() as fetch:
        source = OpenTriviaSource(server.address)
        partition, *_ = list_partitions(source, fetch)
        (_, token), (_, first) = [step for step, _ in zip(pages_of(source, fetch, partition), range(2), strict=False)]
        server.contract.tokens[not_none(first.state)["token"]].used -= 1
        replaced = source.fetch_page(fetch, Partition(partition.key, not_none(first.state)))
        rest = [
            record
            for _, page in pages_of(source, fetch, Partition(partition.key, not_none(replaced.state)))
            for record in page.records
        ]
    assert (token.restarts, first.restarts, replaced.restarts, replaced.records) == (False, False, True, ())
    assert keys_of(rest) == dedupe_keys(question for question in BANK if str(question.category) == partition.key)


@pytest.mark.parametrize("cut_after", range(4))
def test_a_run_cut_off_between_a_call_and_its_commit_loses_nothing(cut_after: int) -> None:
    with FakeOpenTdb(BANK) as server, HttpFetch() as fetch:
        source = OpenTriviaSource(server.address)
        partition, *_ = list_partitions(source, fetch)
        stored: list[CollectedRecord] = []
        for step, (last, page) in enumerate(pages_of(source, fetch, partition)):
            before = last
            if step == cut_after:
                break
            stored += page.records
        resumed = OpenTriviaSource(server.address).resume_partition(before)
        stored += [record for _, page in pages_of(source, fetch, resumed) for record in page.records]
    assert keys_of(stored) == dedupe_keys(question for question in BANK if str(question.category) == partition.key)


def test_listing_goes_on_where_it_was_refused() -> None:
    plan = dict.fromkeys((1, 3, 5), Fault.LIMITED)
    with FakeOpenTdb(BANK, faults=plan) as server, HttpFetch() as fetch:
        partitions = list_partitions(OpenTriviaSource(server.address), fetch)
    assert [partition.expected for partition in partitions] == [60, 15]
    assert [call.query.get("category") for call in server.calls if call.code is None] == [None, "9", "10"]


@pytest.mark.parametrize("encoding", Encoding)
def test_every_encoding_gives_the_same_items(encoding: Encoding) -> None:
    with FakeOpenTdb(BANK) as server, HttpFetch() as fetch:
        records = collect(OpenTriviaSource(server.address, encoding=encoding), fetch)
        assert server.calls[-1].query.get("encode", "html") == encoding
    drafts = {collected.record.draft for collected in records if isinstance(collected.record, Accepted)}
    assert {(draft.stem, draft.category, draft.difficulty) for draft in drafts} == {
        (question.question, CATEGORIES[question.category], question.difficulty) for question in BANK
    }
    assert keys_of(records) == dedupe_keys(BANK)


PLAIN: dict[str, Any] = {
    "type": "multiple",
    "difficulty": "easy",
    "category": "Science &amp; Nature",
    "question": "What is &lt;b&gt; in &amp;amp;?",
    "correct_answer": "Bold",
    "incorrect_answers": ["Wide", "Big", "Air"],
}


def parsed(element: Any, encoding: Encoding = Encoding.HTML) -> Accepted | Rejected:
    source = OpenTriviaSource("http://stand-in", encoding=encoding)
    (collected,) = source.fetch_page(Answers(element), WITH_TOKEN).records
    return collected.record


def test_a_record_becomes_an_item_whose_choices_have_one_order() -> None:
    record = parsed(PLAIN)
    assert isinstance(record, Accepted)
    assert record.draft == ItemDraft(
        kind="single",
        stem="What is <b> in &amp;?",
        choices=("Air", "Big", "Bold", "Wide"),
        right=(2,),
        category="Science & Nature",
        difficulty="easy",
        source="Open Trivia DB",
        licence="CC BY-SA 4.0",
    )


@pytest.mark.parametrize(("answer", "right"), [("True", 0), ("False", 1)])
def test_true_and_false_stay_in_this_order(answer: str, right: int) -> None:
    wrong = ["False" if answer == "True" else "True"]
    record = parsed(PLAIN | {"type": "boolean", "correct_answer": answer, "incorrect_answers": wrong})
    assert isinstance(record, Accepted)
    assert (record.draft.kind, record.draft.choices, record.draft.right) == ("true_false", ("True", "False"), (right,))


@pytest.mark.parametrize(
    ("element", "reason"),
    [
        (None, "A record has type,"),
        ([], "A record has type,"),
        ("text", "A record has type,"),
        (PLAIN | {"question": 5}, "A record has type,"),
        (PLAIN | {"incorrect_answers": "Wide"}, "A record has type,"),
        ({key: value for key, value in PLAIN.items() if key != "category"}, "A record has type,"),
        (PLAIN | {"type": "open"}, "'open' is no type"),
        (PLAIN | {"difficulty": "odd"}, "'odd' is no difficulty"),
        (PLAIN | {"question": " "}, "stem: "),
        (PLAIN | {"question": "\ud800"}, "cannot be stored"),
        (PLAIN | {"incorrect_answers": []}, "choices: "),
        (PLAIN | {"incorrect_answers": ["Bold"]}, "'Bold' is there twice"),
        (PLAIN | {"type": "boolean"}, "True or false"),
    ],
)
def test_a_bad_record_is_rejected_with_its_reason(element: Any, reason: str) -> None:
    record = parsed(element)
    assert isinstance(record, Rejected)
    assert reason in record.reason


@given(ANYTHING, st.sampled_from(["all", *PLAIN]), st.sampled_from(Encoding))
def test_no_record_can_stop_a_collection(value: Any, field: str, encoding: Encoding) -> None:
    record = parsed(value if field == "all" else PLAIN | {field: value}, encoding)
    assert isinstance(record, Accepted) or record.reason


@pytest.mark.parametrize("encoding", [Encoding.BASE64, Encoding.URL_LEGACY, Encoding.URL_3986])
def test_a_text_that_cannot_be_decoded_is_rejected(encoding: Encoding) -> None:
    encode: Callable[[str], str] = (
        (lambda text: base64.b64encode(text.encode()).decode()) if encoding is Encoding.BASE64 else str
    )
    element = {key: [*map(encode, value)] if isinstance(value, list) else encode(value) for key, value in PLAIN.items()}
    broken = "%ff" if encoding is not Encoding.BASE64 else base64.b64encode(b"\xff").decode()
    record = parsed(element | {"question": broken}, encoding)
    assert isinstance(record, Rejected)
    assert "cannot be decoded" in record.reason


def test_the_original_is_kept_and_can_be_stored() -> None:
    page = OpenTriviaSource("http://stand-in", encoding=Encoding.HTML).fetch_page(
        Answers(PLAIN | {"x": "\ud800"}), WITH_TOKEN
    )
    original = page.records[0].original
    assert json.loads(original.encode()) == PLAIN | {"x": "\ud800"}


@pytest.mark.parametrize("answers", [Answers(code=5), Answers(status=429)])
def test_too_fast_is_said_as_such_with_the_wait_that_is_asked_for(answers: Answers) -> None:
    source = OpenTriviaSource("http://stand-in")
    with pytest.raises(RateLimitedError) as refused:
        source.fetch_page(answers, WITH_TOKEN)
    assert refused.value.retry_after is None
    answers.response = SourceResponse(answers.response.status, {"retry-after": "7"}, answers.response.body)
    with pytest.raises(RateLimitedError) as refused:
        source.fetch_page(answers, WITH_TOKEN)
    assert refused.value.retry_after == 7.0


@pytest.mark.parametrize("answers", [Answers(code=2), Answers(status=403)])
def test_a_call_that_is_wrong_in_itself_is_not_tried_again(answers: Answers) -> None:
    with pytest.raises(FetchError) as refused:
        OpenTriviaSource("http://stand-in").fetch_page(answers, WITH_TOKEN)
    assert not refused.value.transient


@pytest.mark.parametrize("answers", [Answers(code=9), Answers(code=[]), Answers(status=503), Answers(code=3)])
def test_an_answer_that_may_have_moved_the_token_begins_the_strand_anew(answers: Answers) -> None:
    page = OpenTriviaSource("http://stand-in").fetch_page(answers, WITH_TOKEN)
    assert page.restarts
    state = not_none(page.state)
    assert state["token"] is None
    assert state["troubles"] == 1
