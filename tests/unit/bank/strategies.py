"""Hypothesis strategies: any item that the bank can hold, and any file that may be imported."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC
from typing import Any

from hypothesis import strategies as st

from webapp.bank.formats.parse_result import Accepted, ByteStream, Record, UnreadableError
from webapp.bank.item_draft import TRUE_AND_FALSE, ItemDraft, find_errors

CATEGORIES = ["Birds", "top", "top/Birds", "$course$/top/Birds", "Sea//Fish", "Air/Birds", "a\nb"]
SPECIAL = [*"\n\r\t\\:#={}~%[]()/->'\"<>&;,@+AB.T1 n\u00a0\u2028\ufeff", "[html]", "%50%", "//", "\\n", "-->", "]]>"]

Parse = Callable[[ByteStream, str | None], Iterator[Record]]
"""A format's parser: of a stream, with the category of items that name none."""


def texts(longest: int, shortest: int = 1) -> st.SearchStrategy[str]:
    # Drawing pieces instead of single characters needs fewer choices.
    pieces = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6) | st.sampled_from(SPECIAL)
    joined = st.lists(pieces, min_size=shortest, max_size=longest // 4).map("".join)
    return joined.map(lambda text: text[:longest].strip()).filter(lambda text: len(text) >= shortest)


# Created once: Hypothesis validates a new strategy for each draft, which takes longer than drawing from it.
KINDS = st.sampled_from(["single", "multiple", "true_false"])
CHOICES = st.lists(texts(20), min_size=2, max_size=20, unique=True).map(tuple)
RIGHT = {
    (is_multiple, choices): st.sets(
        st.integers(0, choices - 1), min_size=1, max_size=choices if is_multiple else 1
    ).map(sorted)
    for is_multiple in (False, True)
    for choices in range(2, 21)
}
PARTS = {
    "stem": texts(60),
    "explanation": texts(40, 0),
    "category": st.none() | texts(30) | st.sampled_from(CATEGORIES),
    "difficulty": st.sampled_from([None, "easy", "medium", "hard"]),
    "source": st.none() | texts(30),
    "licence": st.none() | texts(30),
    "address": st.none() | texts(30),
    "collected_at": st.none() | st.datetimes(timezones=st.just(UTC)),
    "original": st.none() | texts(60),
    "tags": st.just(()) | st.sampled_from([("water",), ("upper course", "물")]),
}


@st.composite
def drafts(draw: st.DrawFn) -> ItemDraft:
    kind = draw(KINDS)
    choices = TRUE_AND_FALSE if kind == "true_false" else draw(CHOICES)
    right = draw(RIGHT[kind == "multiple", len(choices)])
    parts: dict[str, Any] = {name: draw(strategy) for name, strategy in PARTS.items()}
    pinned = () if kind == "true_false" else draw(st.sampled_from([(), (0,), tuple(range(len(choices)))]))
    draft = ItemDraft(kind=kind, choices=choices, right=tuple(right), pinned=pinned, **parts)
    assert find_errors(draft) == []
    return draft


def files(valid: bytes) -> st.SearchStrategy[bytes]:
    """Any bytes, and `valid` with pieces of it cut, doubled, moved or overwritten."""
    spot = st.integers(0, len(valid))
    noise = st.binary(max_size=8) | st.sampled_from([b"\r", b"\n\n", b'"', b"<", b"{", b"}", b"\\", b"\xff", b"\x00"])

    def mutated(edits: list[tuple[int, int, bytes]]) -> bytes:
        content = valid
        for first, second, new in edits:
            start, end = sorted((first, second))
            content = content[:start] + new + content[end:]
        return content

    return st.binary(max_size=400) | st.lists(st.tuples(spot, spot, noise), max_size=4).map(mutated)


def read(parse: Parse, content: bytes | str, category: str | None = None) -> list[Record]:
    raw = content if isinstance(content, bytes) else content.encode()
    return list(parse(io.BytesIO(raw), category))


def all_accepted(records: Iterable[Record]) -> list[Accepted]:
    """Return records that have all been accepted."""
    accepted = []
    for record in records:
        assert isinstance(record, Accepted), record
        accepted.append(record)
    return accepted


def only_draft(parse: Parse, content: bytes | str) -> ItemDraft:
    (record,) = read(parse, content)
    assert isinstance(record, Accepted), record
    return record.draft


def is_read_or_refused(parse: Parse, content: bytes) -> bool:
    """Tell whether every record of a file has a line and is a valid item or has a reason."""
    try:
        records = read(parse, content)
    except UnreadableError as error:
        return bool(str(error))
    return all(
        record.line >= 1 and (not find_errors(record.draft) if isinstance(record, Accepted) else bool(record.reason))
        for record in records
    )


def peak_of(parse: Callable[[ByteStream], Iterable[object]], content: bytes) -> int:
    """Return the bytes of memory that reading a file takes beside the file."""
    stream = io.BytesIO(content)
    tracemalloc.start()
    try:
        for _ in parse(stream):
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


class Endless:
    """An endless file; `bytes_read` counts the bytes read from it."""

    def __init__(self, chunk: bytes, before: bytes = b"") -> None:
        self.bytes_read = 0
        self._before = before
        self._chunk = chunk

    def read(self, size: int, /) -> bytes:
        content, self._before = (self._before + self._chunk * (size // len(self._chunk) + 1))[:size], b""
        self.bytes_read += len(content)
        return content

    def readline(self, size: int, /) -> bytes:
        raise AssertionError("a line may have any length")
