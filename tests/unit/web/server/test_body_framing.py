from __future__ import annotations

import pytest

from webapp.web.server.body_framing import ChunkScanner

BODIES = [
    b"0\r\n\r\n",
    b"3\r\nabc\r\n0\r\n\r\n",
    b"A;name=value\r\n0123456789\r\n1\r\n\n\r\n0\r\n\r\n",
    b"4\r\n\r\n\r\n\r\n0\r\nTrailer: 1\r\nOther: 2\r\n\r\n",
]


@pytest.mark.parametrize("body", BODIES)
def test_a_body_is_complete_with_its_last_byte_and_not_before(body: bytes) -> None:
    scanner = ChunkScanner()
    assert [scanner.is_complete(body[:length]) for length in range(len(body) + 1)] == [False] * len(body) + [True]


def test_what_follows_the_body_is_not_looked_at() -> None:
    assert ChunkScanner().is_complete(b"1\r\na\r\n0\r\n\r\nPUT / HTTP/1.1\r\n")


@pytest.mark.parametrize("body", [b"zz\r\nabc", b"\r\n", b"1\r\nabc\r\n0\r\n\r\n", b"-1\r\n\r\n0\r\n"])
def test_what_cannot_be_a_body_is_not_waited_for(body: bytes) -> None:
    assert ChunkScanner().is_complete(body)
