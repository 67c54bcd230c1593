from __future__ import annotations

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import InvalidHeaderName

from webapp.web.server.parsed_request import MAX_KEPT_BYTES, CachedSettings, HeaderBlock, ParsedRequest, RequestBuffer


def parse(head: bytes, last: HeaderBlock | None = None) -> ParsedRequest:
    config, buffer = Config(), RequestBuffer()
    config.set("http_parser", "python")
    buffer.feed(head)
    return ParsedRequest(config, buffer, ("127.0.0.1", 1), 1, last)


def test_the_same_header_lines_are_parsed_once() -> None:
    first = parse(b"GET /a HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n")
    second = parse(b"GET /b HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n", first.block)
    assert second.block is first.block
    assert second.headers == [("HOST", "x"), ("A", "b")]
    assert second.path == "/b"


@pytest.mark.parametrize("lines", [b"Host: x\r\nA: c\r\n\r\n", b"Host: x\r\n\r\n", b"Host: x\r\nA: b\r\nB: c\r\n\r\n"])
def test_other_lines_are_parsed(lines: bytes) -> None:
    first = parse(b"GET /a HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n")
    assert parse(b"GET /a HTTP/1.1\r\n" + lines, first.block).headers == parse(b"GET /a HTTP/1.1\r\n" + lines).headers


def test_headers_that_are_refused_are_refused_after_others_too() -> None:
    first = parse(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
    with pytest.raises(InvalidHeaderName):
        parse(b"GET /a HTTP/1.1\r\nHost: x\r\nA b: c\r\n\r\n", first.block)


@pytest.mark.parametrize("line", [b"Expect: 100-continue", b"A: " + b"b" * MAX_KEPT_BYTES])
def test_what_differs_for_each_request_and_what_is_large_is_not_kept(line: bytes) -> None:
    assert parse(b"PUT /a HTTP/1.1\r\nHost: x\r\n" + line + b"\r\n\r\n").block is None


def test_a_buffer_gives_as_much_as_is_asked_for_and_reads_on_where_it_can() -> None:
    buffer, more = RequestBuffer(), [b"", b"fg", b"de"]
    buffer.feed(b"abc")
    assert (buffer.read(2), buffer.read(), buffer.read(), buffer.read(1)) == (b"ab", b"c", b"", b"")
    buffer.unread(bytearray(b"c"))
    buffer.read_more = more.pop
    assert (buffer.read(4), buffer.read(100)) == (b"cdef", b"g")


def test_a_setting_is_looked_up_once() -> None:
    class Settings:
        looked_up = 0

        @property
        def threads(self) -> int:
            self.looked_up += 1
            return 8

    settings = Settings()
    cached = CachedSettings(settings)
    assert (cached.threads, cached.threads, settings.looked_up) == (8, 8, 1)
    with pytest.raises(AttributeError):
        cached.nothing  # noqa: B018 - the look-up is what is tested
