from __future__ import annotations

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import InvalidHeader, InvalidRequestLine, LimitRequestHeaders

from webapp.web.server.limits import MAX_HEAD_BYTES, MAX_WHOLE_BODY_BYTES
from webapp.web.server.request_reader import ReadProgress, RequestReader

HEAD = b"PUT /a HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture
def reader() -> RequestReader:
    config = Config()
    config.set("http_parser", "python")
    return RequestReader(config, ("127.0.0.1", 1))


def progress(reader: RequestReader, data: bytes) -> ReadProgress:
    reader.feed(data)
    return reader.advance()


@pytest.mark.parametrize(
    ("request_bytes", "body"),
    [
        (HEAD + b"\r\n", b""),
        (HEAD + b"Content-Length: 5\r\n\r\nabc\r\n", b"abc\r\n"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n", b"abcd"),
        (b"\r\n" + HEAD + b"Content-Length: 1\r\n\r\nz", b"z"),
    ],
)
def test_a_request_is_whole_with_its_last_byte_and_not_before(
    reader: RequestReader, request_bytes: bytes, body: bytes
) -> None:
    for position in range(len(request_bytes) - 1):
        assert progress(reader, request_bytes[position : position + 1]) in {ReadProgress.HEAD, ReadProgress.BODY}
    assert progress(reader, request_bytes[-1:]) is ReadProgress.WHOLE
    assert (reader.request.method, reader.request.path, reader.request.body.read()) == ("PUT", "/a", body)


def test_requests_that_come_together_are_read_one_after_another(reader: RequestReader) -> None:
    one = HEAD + b"Content-Length: 2\r\n\r\n%d\n"
    reader.feed(b"".join(one % number for number in range(3)) + HEAD)
    bodies = []
    for _ in range(3):
        assert reader.advance() is ReadProgress.WHOLE
        bodies.append(reader.request.body.read())
        assert reader.begin_next()
    assert bodies == [b"0\n", b"1\n", b"2\n"]
    assert reader.has_data()
    assert reader.advance() is ReadProgress.HEAD


def test_a_body_that_nobody_has_read_is_not_the_next_request(reader: RequestReader) -> None:
    both = b"GET GET /b HTTP/1.1\r\nHost: x\r\n\r\n"
    assert progress(reader, HEAD + b"Content-Length: 4\r\n\r\n" + both) is ReadProgress.WHOLE
    assert reader.begin_next()
    assert reader.advance() is ReadProgress.WHOLE
    assert reader.request.path == "/b"


def test_a_body_too_large_to_wait_for_is_said_to_be_so_at_once(reader: RequestReader) -> None:
    assert progress(reader, HEAD + b"Content-Length: %d\r\n\r\n" % (MAX_WHOLE_BODY_BYTES + 1)) is ReadProgress.LARGE


def test_a_chunked_body_is_large_when_so_much_of_it_has_come(reader: RequestReader) -> None:
    assert progress(reader, HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffff\r\n") is ReadProgress.BODY
    assert progress(reader, b"x" * (MAX_WHOLE_BODY_BYTES + 1)) is ReadProgress.LARGE


def test_a_head_without_an_end_is_refused(reader: RequestReader) -> None:
    with pytest.raises(LimitRequestHeaders):
        progress(reader, HEAD + b"A: b\r\n" * (MAX_HEAD_BYTES // 6))


@pytest.mark.parametrize("data", [b"\r\n\r\n", b"GET /\n\n", b"nonsense\r\n\r\n", b"\n\n"])
def test_what_is_no_head_is_refused_at_once(reader: RequestReader, data: bytes) -> None:
    with pytest.raises(InvalidRequestLine):
        progress(reader, data)


def test_a_header_that_ends_with_a_bare_line_feed_is_refused_at_once(reader: RequestReader) -> None:
    with pytest.raises(InvalidHeader):
        progress(reader, b"GET / HTTP/1.1\r\nA: b\n\n")


def test_a_malformed_chunk_is_refused_before_anybody_gets_the_request(reader: RequestReader) -> None:
    with pytest.raises(Exception, match="chunk"):
        progress(reader, HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n")


def test_who_waits_to_be_told_is_told_once_and_only_where_something_is_missing(reader: RequestReader) -> None:
    head = HEAD + b"Expect: 100-CONTINUE\r\nContent-Length: 1\r\n\r\n"
    progress(reader, head)
    assert reader.is_invitation_expected()
    progress(reader, b"a")
    assert not reader.is_invitation_expected()


@pytest.mark.parametrize("parser", ["python", "auto"])
def test_headers_that_are_those_of_the_last_request_mean_the_same(parser: str) -> None:
    config = Config()
    config.set("http_parser", parser)
    reader = RequestReader(config, ("127.0.0.1", 1))
    lines = b"Host: x\r\nA: 1\r\na: 2\r\nContent-Length: 2\r\n\r\n"
    for path in (b"/a", b"/b", b"/c"):
        assert progress(reader, b"PUT " + path + b" HTTP/1.1\r\n" + lines + b"{}") is ReadProgress.WHOLE
        request = reader.request
        assert (request.path.encode(), reader.peek_body(), request.body.read()) == (path, b"{}", b"{}")
        assert request.fields == {"HOST": "x", "A": "1,2", "CONTENT-LENGTH": "2"}
        assert request.headers == [("HOST", "x"), ("A", "1"), ("A", "2"), ("CONTENT-LENGTH", "2")]
        assert reader.begin_next()


def test_headers_of_another_version_are_judged_anew(reader: RequestReader) -> None:
    lines = b"Host: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert progress(reader, b"PUT /a HTTP/1.1\r\n" + lines + b"0\r\n\r\n") is ReadProgress.WHOLE
    assert reader.begin_next()
    with pytest.raises(InvalidHeader):
        progress(reader, b"PUT /a HTTP/1.0\r\n" + lines)


def test_who_waits_to_be_told_is_told_for_each_request(reader: RequestReader) -> None:
    for _ in range(2):
        progress(reader, HEAD + b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\n")
        assert reader.is_invitation_expected()
        progress(reader, b"a")
        assert reader.begin_next()


def test_a_body_that_was_looked_at_and_not_read_is_not_the_next_request(reader: RequestReader) -> None:
    assert progress(reader, HEAD + b"Content-Length: 2\r\n\r\nab" + HEAD + b"\r\n") is ReadProgress.WHOLE
    assert reader.peek_body() == b"ab"
    assert reader.begin_next()
    assert reader.advance() is ReadProgress.WHOLE
