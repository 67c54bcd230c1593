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
from tests.unit.collector.source_driver import ANYTHING, HttpFetch, collect, keys_of, pages_of, reasons_of, strands_of
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

BRIEF = 0.05
"""Seconds in which a call is given up that gets no answer."""
BANK = make_questions(75, [9, 9, 9, 9, 10])
"""Sixty in one category, which are two pages, and fifteen in another."""
EVERY_SWITCH = [
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
    """Let the waits between calls pass at once; the stand-in goes by the same clock."""
    monkeypatch.setattr(source_driver, "sleep", clock.advance)


def collected(
    switches: ContractOptions | None = None, faults: FaultPlan | None = None, spacing: float = 0.0
) -> tuple[list[CollectedRecord], FakeOpenTdb]:
    def timeout() -> float:
        plan, number = server.faults, len(server.calls)
        fault = plan(number, "") if callable(plan) else plan.get(number)
        return BRIEF if fault is Fault.SILENCE else source_driver.LONG

    with FakeOpenTdb(BANK, switches or ContractOptions(), faults) as server, HttpFetch(spacing, timeout) as fetch:
        found = collect(OpenTriviaSource(server.address), fetch, wait=2 * spacing)
    assert reasons_of(found) == []
    return found, server


class Answers:
    """A fetch that gives the same bytes for every call."""

    def __init__(self, *results: Any, code: Any = 0, status: int = 200, **headers: str) -> None:
        self.reply = SourceResponse(status, headers, json.dumps({"response_code": code, "results": results}).encode())

    def __call__(self, *_: Any, **__: Any) -> SourceResponse:
        return self.reply


ASKING = Partition("9", {"category": 9, "count": 5, "token": "t"})


def test_the_categories_are_the_strands_with_their_counts() -> None:
    with FakeOpenTdb(make_questions(240)) as server, HttpFetch() as fetch:
        strands = OpenTriviaSource(server.address).list_partitions(fetch)
    assert {one.key: one.title for one in strands} == {str(number): name for number, name in CATEGORIES.items()}
    assert {one.expected for one in strands} == {10}
    assert json.loads(json.dumps(strands[0].state)) == strands[0].state


@pytest.mark.usefixtures("waits_by_the_clock")
@pytest.mark.parametrize("chunk", range(8))
def test_whatever_the_source_does_where_nobody_knows_every_record_is_collected(chunk: int) -> None:
    for switches in EVERY_SWITCH[chunk::8]:
        found, _ = collected(switches, spacing=5.0)
        assert keys_of(found) == dedupe_keys(BANK), switches
        assert len(found) == len(BANK), switches


@pytest.mark.parametrize("tail", [1, 4])
@pytest.mark.parametrize("off", [1, 2, 12, 13, 49, 50, -1, -2, -10, -15, -59, -60])
def test_however_wrong_the_count_is_every_record_is_collected_once(tail: int, off: int) -> None:
    found, _ = collected(ContractOptions(short_tail=tail, count_error=off))
    assert keys_of(found) == dedupe_keys(BANK)
    assert len(found) == len(BANK)


@pytest.mark.usefixtures("waits_by_the_clock")
@pytest.mark.parametrize("status", [200, 429])
@pytest.mark.parametrize("everything", [True, False])
@pytest.mark.parametrize("refused_count", [True, False])
def test_being_too_fast_loses_nothing(status: int, everything: bool, refused_count: bool) -> None:
    switches = ContractOptions(
        spacing=5.0, limited_status=status, limit_all_calls=everything, count_refused_calls=refused_count
    )
    plan = dict.fromkeys((0, 3, 4, 9), Fault.LIMITED)
    with FakeOpenTdb(BANK, switches, plan) as server, HttpFetch() as fetch:
        found = collect(OpenTriviaSource(server.address), fetch, wait=7.0)
    assert keys_of(found) == dedupe_keys(BANK)
    assert len(found) == len(BANK)
    assert [call.code for call in server.calls].count(5) > len(plan)


def test_strands_side_by_side_keep_the_spacing_together() -> None:
    bank = make_questions(100, 5)
    with FakeOpenTdb(bank, ContractOptions(spacing=0.02)) as server, HttpFetch(spacing=0.03) as fetch:
        found = collect(OpenTriviaSource(server.address), fetch, wait=0.03, threads=5)
    assert keys_of(found) == dedupe_keys(bank)
    assert len(found) == len(bank)


def test_a_true_count_costs_one_call_more_than_the_questions_need() -> None:
    _, server = collected()
    assert [call.query["amount"] for call in server.calls if call.path == "/api.php"] == ["50", "10", "1", "15", "1"]


@pytest.mark.parametrize("fault", Fault)
def test_a_fault_at_any_call_loses_nothing(fault: Fault) -> None:
    calls = len(collected()[1].calls)
    for number in range(calls):
        found, server = collected(faults={number: fault})
        assert server.calls[number].fault is fault
        assert keys_of(found) == dedupe_keys(BANK), number


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("tail", [1, 4])
def test_a_fault_at_every_thirteenth_call_loses_nothing(fault: Fault, tail: int) -> None:
    faults = lambda number, path: fault if number % 13 == 12 else None  # noqa: E731
    found, _ = collected(ContractOptions(short_tail=tail, count_error=9), faults)
    assert keys_of(found) == dedupe_keys(BANK)


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
        strand, *_ = strands_of(source, fetch)
        (_, token), (_, first) = [step for step, _ in zip(pages_of(source, fetch, strand), range(2), strict=False)]
        server.contract.tokens[not_none(first.state)["token"]].used -= 1
        again = source.fetch_page(fetch, Partition(strand.key, not_none(first.state)))
        rest = [
            one
            for _, page in pages_of(source, fetch, Partition(strand.key, not_none(again.state)))
            for one in page.records
        ]
    assert (token.restarts, first.restarts, again.restarts, again.records) == (False, False, True, ())
    assert keys_of(rest) == dedupe_keys(one for one in BANK if str(one.category) == strand.key)


@pytest.mark.parametrize("cut_after", range(4))
def test_a_run_cut_off_between_a_call_and_its_commit_loses_nothing(cut_after: int) -> None:
    with FakeOpenTdb(BANK) as server, HttpFetch() as fetch:
        source = OpenTriviaSource(server.address)
        strand, *_ = strands_of(source, fetch)
        stored: list[CollectedRecord] = []
        for step, (last, page) in enumerate(pages_of(source, fetch, strand)):
            before = last
            if step == cut_after:
                break
            stored += page.records
        resumed = OpenTriviaSource(server.address).resume_partition(before)
        stored += [one for _, page in pages_of(source, fetch, resumed) for one in page.records]
    assert keys_of(stored) == dedupe_keys(one for one in BANK if str(one.category) == strand.key)


def test_listing_goes_on_where_it_was_refused() -> None:
    plan = dict.fromkeys((1, 3, 5), Fault.LIMITED)
    with FakeOpenTdb(BANK, faults=plan) as server, HttpFetch() as fetch:
        strands = strands_of(OpenTriviaSource(server.address), fetch)
    assert [one.expected for one in strands] == [60, 15]
    assert [call.query.get("category") for call in server.calls if call.code is None] == [None, "9", "10"]


@pytest.mark.parametrize("encoding", Encoding)
def test_every_encoding_gives_the_same_items(encoding: Encoding) -> None:
    with FakeOpenTdb(BANK) as server, HttpFetch() as fetch:
        found = collect(OpenTriviaSource(server.address, encoding=encoding), fetch)
        assert server.calls[-1].query.get("encode", "html") == encoding
    drafts = {one.record.draft for one in found if isinstance(one.record, Accepted)}
    assert {(draft.stem, draft.category, draft.difficulty) for draft in drafts} == {
        (one.question, CATEGORIES[one.category], one.difficulty) for one in BANK
    }
    assert keys_of(found) == dedupe_keys(BANK)


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
    (one,) = source.fetch_page(Answers(element), ASKING).records
    return one.record


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
        Answers(PLAIN | {"x": "\ud800"}), ASKING
    )
    original = page.records[0].original
    assert json.loads(original.encode()) == PLAIN | {"x": "\ud800"}


@pytest.mark.parametrize("answers", [Answers(code=5), Answers(status=429)])
def test_too_fast_is_said_as_such_with_the_wait_that_is_asked_for(answers: Answers) -> None:
    source = OpenTriviaSource("http://stand-in")
    with pytest.raises(RateLimitedError) as refused:
        source.fetch_page(answers, ASKING)
    assert refused.value.retry_after is None
    answers.reply = SourceResponse(answers.reply.status, {"retry-after": "7"}, answers.reply.body)
    with pytest.raises(RateLimitedError) as refused:
        source.fetch_page(answers, ASKING)
    assert refused.value.retry_after == 7.0


@pytest.mark.parametrize("answers", [Answers(code=2), Answers(status=403)])
def test_a_call_that_is_wrong_in_itself_is_not_tried_again(answers: Answers) -> None:
    with pytest.raises(FetchError) as refused:
        OpenTriviaSource("http://stand-in").fetch_page(answers, ASKING)
    assert not refused.value.transient


@pytest.mark.parametrize("answers", [Answers(code=9), Answers(code=[]), Answers(status=503), Answers(code=3)])
def test_an_answer_that_may_have_moved_the_token_begins_the_strand_anew(answers: Answers) -> None:
    page = OpenTriviaSource("http://stand-in").fetch_page(answers, ASKING)
    assert page.restarts
    state = not_none(page.state)
    assert state["token"] is None
    assert state["troubles"] == 1
