from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from tests.unit.collector.source_driver import ANYTHING, HttpFetch, collect, keys_of, reasons_of
from webapp.bank.deduplication import dedupe_key
from webapp.bank.formats.parse_result import Accepted, Rejected
from webapp.bank.item_draft import ItemDraft
from webapp.collector.sources import json_api_config
from webapp.collector.sources.base import FetchError, Partition, RateLimitedError, SourceResponse
from webapp.collector.sources.json_api import JsonApiSource, load_source
from webapp.collector.sources.json_api_config import JsonApiConfig, JsonApiConfigError
from webapp.lab.services.fake_paged_api import FakePagedApi

PAGE = (Path(__file__).resolve().parents[4] / "docs" / "sources.md").read_text()
RECORDS: list[dict[str, Any]] = [
    {
        "id": number,
        "text": f"What is number {number}?",
        "good": f"Number {number}",
        "bad": [f"{number} x", f"{number} y"],
    }
    for number in range(57)
]
KEYS = {dedupe_key(record["text"], (record["good"], *record["bad"]), (0,)) for record in RECORDS}
FIELDS = 'items = "data.results"\nstem = "text"\nright = "good"\nwrong = "bad"\nidentity = "id"'
PAGINGS = {
    "page": 'kind = "page"\nparameter = "page"',
    "page, total": 'kind = "page"\nparameter = "page"\ntotal = "meta.total"',
    "page, pages": 'kind = "page"\nparameter = "page"\npages = "meta.pages"',
    "offset": 'kind = "offset"\nparameter = "offset"',
    "offset, total": 'kind = "offset"\nparameter = "offset"\ntotal = "meta.total"',
    "cursor": 'kind = "cursor"\nparameter = "cursor"\nnext = "meta.next"',
    "link": 'kind = "link"',
    "link, next": 'kind = "link"\nnext = "meta.href"',
}
SIZED = '\nsize_parameter = "limit"\nsize = 10'


def described(address: str = "http://stand-in/q", paging: str = "", fields: str = FIELDS, more: str = "") -> str:
    head = f'name = "numbers"\ntitle = "Numbers"\naddress = "{address}"\nlicence = "CC0"\n'
    return f"{head}{more}\n[limits]\nconcurrency = 3\n[paging]\n{paging}\n[fields]\n{fields}\n"


def source_of(text: str) -> JsonApiSource:
    return JsonApiSource(json_api_config.parse_config(text, "numbers.toml"))


def refused(text: str) -> str:
    with pytest.raises(JsonApiConfigError) as error:
        json_api_config.parse_config(text, "numbers.toml")
    return str(error.value)


def paged(paging: str, **values: Any) -> FakePagedApi:
    return FakePagedApi(RECORDS, kind=paging.split(",", maxsplit=1)[0], **values)


@pytest.mark.parametrize("paging", PAGINGS)
@pytest.mark.parametrize(
    "values",
    [
        {},
        {"max_page_size": 7},
        {"total_error": 30},
        {"total_error": -30},
        {"total_error": -57},
        {"missing_after_end": True},
    ],
)
def test_every_way_from_page_to_page_collects_everything(paging: str, values: dict[str, Any]) -> None:
    with paged(paging, **values) as server, HttpFetch() as fetch:
        result = collect(source_of(described(server.address, PAGINGS[paging] + SIZED)), fetch, threads=3)
    assert keys_of(result) == KEYS
    assert {record.identity for record in result} == {str(number) for number in range(57)}
    assert reasons_of(result) == []


@pytest.mark.parametrize("paging", PAGINGS)
@pytest.mark.parametrize("fault", ["error", "html", "half"])
def test_a_fault_at_any_call_loses_nothing(paging: str, fault: str) -> None:
    text = PAGINGS[paging] + SIZED
    with paged(paging) as server, HttpFetch() as fetch:
        collect(source_of(described(server.address, text)), fetch)
    for number in range(len(server.requests)):
        with paged(paging, faults={number: fault}) as server, HttpFetch() as fetch:
            result = collect(source_of(described(server.address, text)), fetch)
        assert keys_of(result) == KEYS


@pytest.mark.parametrize("paging", PAGINGS)
def test_being_too_fast_is_answered_with_the_same_call_again(paging: str) -> None:
    with paged(paging, faults=dict.fromkeys(range(0, 30, 2), "limited")) as server, HttpFetch() as fetch:
        result = collect(source_of(described(server.address, PAGINGS[paging] + SIZED)), fetch)
    assert keys_of(result) == KEYS


def test_pages_of_a_known_number_are_shared_out() -> None:
    with paged("page") as server, HttpFetch() as fetch:
        partitions = source_of(described(server.address, PAGINGS["page, total"] + SIZED)).list_partitions(fetch)
    assert [(partition.key, partition.expected) for partition in partitions] == [("1-2", 20), ("3-4", 20), ("5-", 17)]
    assert json.loads(json.dumps([partition.state for partition in partitions])) == [
        partition.state for partition in partitions
    ]


def test_without_pages_one_call_has_everything() -> None:
    with FakePagedApi(RECORDS, bare_list=True) as server, HttpFetch() as fetch:
        result = collect(source_of(described(server.address, fields=FIELDS.replace("data.results", "[]"))), fetch)
    assert keys_of(result) == KEYS
    assert len(server.requests) == 1


@pytest.mark.parametrize("paging", PAGINGS)
def test_a_page_that_was_fetched_and_not_stored_is_fetched_again(paging: str) -> None:
    with paged(paging) as server, HttpFetch() as fetch:
        source = source_of(described(server.address, PAGINGS[paging] + SIZED))
        partition = source.list_partitions(fetch)[-1]
        lost = source.fetch_page(fetch, partition)
        refetched = source.fetch_page(fetch, source.resume_partition(partition))
    assert refetched == lost


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:1/q", "https://elsewhere/q", "//elsewhere/q", "http://[", "ftp:/q"]
)
@pytest.mark.parametrize("paging", ["link", "link, next"])
def test_a_next_page_elsewhere_is_refused(paging: str, address: str) -> None:
    with paged(paging, next_url=lambda _: address) as server, HttpFetch() as fetch:
        source = source_of(described(server.address, PAGINGS[paging] + SIZED))
        with pytest.raises(FetchError, match="not followed"):
            collect(source, fetch)
        with pytest.raises(FetchError, match="not followed"):
            source.fetch_page(fetch, Partition("all", {"at": address}))
    assert len(server.requests) == 1


@pytest.mark.parametrize("paging", ["page", "offset", "cursor", "link"])
def test_a_source_that_turns_in_a_circle_is_left(paging: str) -> None:
    """It ignores the parameter, or its next page is the same one."""
    with FakePagedApi(RECORDS, kind="page", next_url=lambda address: address) as server, HttpFetch() as fetch:
        paging_text = PAGINGS[paging].replace('"page"\nparameter = "page"', '"page"\nparameter = "number"')
        paging_text = paging_text.replace('kind = "link"', 'kind = "link"\nnext = "meta.href"')
        with pytest.raises(FetchError, match=r"the same page again|from a page to itself"):
            collect(source_of(described(server.address, paging_text + SIZED)), fetch)
    assert len(server.requests) == 2


def test_the_secret_comes_from_the_environment_and_is_sent_as_a_header(tmp_path: Path) -> None:
    more = '[authentication]\nheader = "X-Key"\nvalue = "key ${TRIVIA_KEY}"\n'
    file = tmp_path / "numbers.toml"
    with paged("link", secret="key 5e5e5e") as server, HttpFetch() as fetch:
        file.write_text(described(server.address, PAGINGS["link"] + SIZED, more=more))
        source = load_source(file, {"TRIVIA_KEY": "5e5e5e"})
        partitions = source.list_partitions(fetch)
        result = collect(source, fetch)
    assert keys_of(result) == KEYS
    assert "5e5e5e" not in repr(source) + repr(vars(source)["_config"]) + repr(partitions)


@pytest.mark.parametrize("environment", [{}, {"TRIVIA_KEY": " "}, {"TRIVIA_KEY": "5e5e\r\nX: y"}])
def test_a_secret_that_cannot_be_used_is_an_error_that_does_not_show_it(
    environment: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "numbers.toml"
    file.write_text(described(more='[authentication]\nheader = "X-Key"\nvalue = "${TRIVIA_KEY}"\n'))
    with pytest.raises(
        JsonApiConfigError, match=r"numbers\.toml: authentication.value: the variable TRIVIA_KEY"
    ) as error:
        load_source(file, environment)
    assert "5e5e" not in str(error.value)


def test_a_source_that_wants_another_secret_says_so() -> None:
    with paged("page", secret="other") as server, HttpFetch() as fetch, pytest.raises(FetchError, match="HTTP 401"):
        collect(source_of(described(server.address, PAGINGS["page"])), fetch)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("licence", "license"), "license: there is no such field; correct its name or remove it."),
        (("licence", "license"), "numbers.toml: licence: is missing; add it."),
        (("http://", "ftp://"), "address: is no address; write https://host/path"),
        (("stand-in", "stand-in:99999"), "address: is no address; write https://host/path"),
        (("http://", "http://["), "address: is no address; write https://host/path"),
        (("/q", "/q?a=b"), "address: has a query; write it under [parameters]"),
        (("http://", "http://me:secret@"), "address: holds a name or password"),
        (("[paging]", '[parameters]\nkey = "${KEY}"\n[paging]'), "parameters: holds ${NAME}; addresses are logged"),
        (
            ("[paging]", '[authentication]\nheader = "X"\nvalue = "s"\n[paging]'),
            "authentication.value: holds no ${NAME}",
        ),
        (
            ("[paging]", '[authentication]\nheader = "X"\nvalue = 5\n[paging]'),
            "authentication.value: input should be a valid string; c",
        ),
        (("[paging]", '[paging]\nkind = "pages"'), "paging.kind: input should be 'cursor', 'link', "),
        (("[paging]", '[paging]\nkind = "cursor"'), 'paging: kind = "cursor" needs next and parameter; add it'),
        (("[paging]", '[paging]\nkind = "none"\nnext = "a"'), 'paging: kind = "none" has no use for next; remove it'),
        (("[paging]", '[paging]\nkind = "page"\nparameter = "p"\ntotal = "a"'), "paging: total is there, size is not"),
        (("concurrency = 3", 'concurrency = "3"'), "limits.concurrency: input should be a valid integer, not '3'"),
        (('"text"', '"a..b"'), "fields.stem: is no path; write keys with dots between"),
        (("right =", "right_text ="), "fields: what is right is said in one of three ways"),
        (("[fields]", "[fields"), "numbers.toml: is no TOML: "),
        (("[fields]", '[values.difficulty]\n1 = "soft"\n[fields]'), "values.difficulty.1: input should be 'easy', "),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_to_do(change: tuple[str, str], message: str) -> None:
    assert message in refused(described().replace(*change, 1))


def test_a_file_that_is_none_is_told() -> None:
    with pytest.raises(JsonApiConfigError, match=r"nowhere\.toml: cannot be read"):
        load_source(Path("nowhere.toml"), {})


class Answers:
    """A fetch that returns the same response for every call."""

    def __init__(self, value: Any, status: int = 200, **headers: str) -> None:
        self.response = SourceResponse(status, headers, json.dumps(value).encode())

    def __call__(self, *_: Any, **__: Any) -> SourceResponse:
        return self.response


def parsed(element: Any, fields: str, more: str = "") -> Accepted | Rejected:
    source = source_of(described(fields=f'items = "[]"\nstem = "q"\n{fields}', more=more))
    (collected,) = source.fetch_page(Answers([element]), Partition("all", {"at": None})).records
    return collected.record


def draft(element: Any, fields: str, more: str = "") -> ItemDraft:
    record = parsed(element, fields, more)
    assert isinstance(record, Accepted), record
    return record.draft


OPTIONS = {"q": "Which?", "o": [{"t": "Swift"}, {"t": "Kiwi"}, {"t": "Crane"}]}
TEXT, POSITION = 'choices = "o[].t"\nright_text = "a"', 'choices = "o[].t"\nright_position = "a"'
RIGHT = 'right = "g"\nwrong = "b"'


@pytest.mark.parametrize(
    ("fields", "answer", "right"),
    [
        (TEXT, "Kiwi", (1,)),
        (TEXT, ["Swift", "Crane"], (0, 2)),
        (POSITION, 1, (1,)),
        (POSITION, "1", (1,)),
        (POSITION, "b", (1,)),
        (POSITION, [0, "C"], (0, 2)),
        (POSITION + "\ncounted_from = 1", 2, (1,)),
    ],
)
def test_what_is_right_is_found_by_text_and_by_position(fields: str, answer: Any, right: tuple[int, ...]) -> None:
    result = draft(OPTIONS | {"a": answer}, fields)
    assert (result.choices, result.right) == (("Swift", "Kiwi", "Crane"), right)
    assert result.kind == ("single" if len(right) == 1 else "multiple")


@pytest.mark.parametrize(
    ("element", "fields"),
    [
        ({"g": "true", "b": ["false"]}, RIGHT),
        ({"g": True, "b": [False]}, RIGHT),
        ({"g": True, "k": "tf"}, f'{RIGHT}\nkind = "k"'),
        ({"o": ["FALSE", "TRUE"], "a": 1}, 'choices = "o"\nright_position = "a"'),
    ],
)
def test_true_and_false_are_known_however_they_are_written(element: Any, fields: str) -> None:
    result = draft(element | {"q": "So?"}, fields, '[values.kind]\ntf = "true_false"\n')
    assert (result.kind, result.choices, result.right) == ("true_false", ("True", "False"), (0,))


def test_every_field_finds_its_place_in_the_item() -> None:
    fields = f'{RIGHT}\ndifficulty = "d"\ncategory = "c[0].n"\nexplanation = "e"'
    element = {"q": "A &lt; B?", "g": "7", "b": [8, 9.5], "d": 2, "c": [{"n": "Maths"}], "e": "&amp;amp;"}
    assert draft(element, fields, 'decode = "html"\n[values.difficulty]\n2 = "medium"\n') == ItemDraft(
        kind="single",
        stem="A < B?",
        choices=("7", "8", "9.5"),
        right=(0,),
        explanation="&amp;",
        category="Maths",
        difficulty="medium",
        source="Numbers",
        licence="CC0",
    )


@pytest.mark.parametrize(
    ("element", "fields", "reason"),
    [
        (None, RIGHT, "stem: "),
        ({"g": "a", "b": ["b"]}, RIGHT, "stem: "),
        ({"q": {"x": 1}, "g": "a", "b": ["b"]}, RIGHT, 'q holds {"x":1}, which is no text.'),
        ({"q": "Q", "g": "a", "b": ["b", None]}, RIGHT, "b holds null, which is no text."),
        ({"q": "Q", "b": ["b", "c"]}, RIGHT, "Say which choice is right"),
        ({"q": "Q", "g": "a", "b": ["a"]}, RIGHT, "'a' is there twice"),
        (OPTIONS | {"a": "Emu"}, TEXT, "The answer 'Emu' matches 0 choices."),
        (OPTIONS | {"a": 3}, POSITION, "counted from 0"),
        (OPTIONS | {"a": 0}, POSITION + "\ncounted_from = 1", "counted from 0"),
        (OPTIONS | {"a": 0.5}, POSITION, "0.5 is no position of a choice."),
        ({"q": "Q", "g": "a", "b": ["b"], "k": "odd"}, f'{RIGHT}\nkind = "k"', "'odd' is no kind; say under"),
        ({"q": "Q", "g": "a", "b": ["b"], "d": "9"}, f'{RIGHT}\ndifficulty = "d"', "'9' is no difficulty; say"),
        ({"q": "Q", "g": "a", "b": ["b"], "i": "x" * 201}, f'{RIGHT}\nidentity = "i"', "The identity has more than"),
    ],
)
def test_a_bad_record_is_rejected_with_its_reason(element: Any, fields: str, reason: str) -> None:
    record = parsed(element, fields)
    assert isinstance(record, Rejected)
    assert reason in record.reason


@given(ANYTHING, st.sampled_from([RIGHT, TEXT, POSITION]))
def test_no_record_can_stop_a_collection(value: Any, fields: str) -> None:
    for element in (value, {"q": "Q", "g": value, "b": value}, {"q": value, "o": [{"t": value}] * 2, "a": value}):
        record = parsed(element, fields, 'decode = "html"\n')
        assert isinstance(record, Accepted) or record.reason


def test_a_text_that_cannot_be_decoded_is_rejected() -> None:
    record = parsed({"q": f"&#{'9' * 5000};", "g": "a", "b": ["b"]}, RIGHT, 'decode = "html"\n')
    assert isinstance(record, Rejected)
    assert "q cannot be decoded" in record.reason


def test_an_answer_of_another_form_is_an_error_that_shows_it() -> None:
    with pytest.raises(FetchError, match=r'no list at data.results, but null; the answer begins \{"error":"gone"\}'):
        source_of(described()).fetch_page(Answers({"error": "gone"}), Partition("all", {"at": None}))


def test_too_fast_is_said_with_the_wait_that_is_asked_for() -> None:
    response = Answers({}, 429, **{"retry-after": "12"})
    with pytest.raises(RateLimitedError) as limited:
        source_of(described()).fetch_page(response, Partition("all", {"at": None}))
    assert limited.value.retry_after == 12.0


@pytest.mark.parametrize("example", re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL))
def test_the_documented_description_is_accepted_and_reads_a_record(example: str) -> None:
    source = source_of(example)
    element = {"id": 7, "question": {"text": "So&quot;?"}, "correct_answer": "True", "incorrect_answers": ["False"]}
    element |= {"type": "boolean", "level": 2, "category": {"name": "Logic"}, "why": "It is."}
    answers = Answers({"meta": {"total": 1}, "data": {"results": [element]}})
    (collected,) = source.fetch_page(answers, source.list_partitions(answers)[0]).records
    assert isinstance(collected.record, Accepted)
    assert (collected.identity, collected.record.draft.stem, collected.record.draft.difficulty) == (
        "7",
        'So"?',
        "medium",
    )


def test_every_field_of_a_description_is_documented() -> None:
    def names(model: type[BaseModel]) -> set[str]:
        inner = [
            kind for kind in vars(json_api_config).values() if isinstance(kind, type) and issubclass(kind, BaseModel)
        ]
        return {name for section in inner for name in section.model_fields} | set(model.model_fields)

    assert {name for name in names(JsonApiConfig) if not re.search(rf"\b{name}\b", PAGE)} == set()
