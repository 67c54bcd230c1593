from __future__ import annotations

import io
import json
import logging
import os
import sys
import threading
from collections.abc import Iterator
from typing import Literal

import pytest

from webapp.web import log_config
from webapp.web.log_config import MAX_BATCH_LINES, AtomicLineHandler, BatchedWriter


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def writer(stream: io.StringIO) -> Iterator[BatchedWriter]:
    writer = BatchedWriter()
    writer.handler = AtomicLineHandler(stream)
    yield writer
    writer.stop()


def test_a_full_batch_is_written_at_once(writer: BatchedWriter, stream: io.StringIO) -> None:
    for number in range(MAX_BATCH_LINES):
        writer.add(str(number))
    assert stream.getvalue().split() == [str(number) for number in range(MAX_BATCH_LINES)]


def test_at_the_end_of_a_process_no_line_is_lost(writer: BatchedWriter, stream: io.StringIO) -> None:
    writer.add("the last")
    writer.stop()
    assert stream.getvalue() == "the last\n"


def test_lines_of_many_threads_are_never_mixed() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream, os.fdopen(reading) as written:
        handler = AtomicLineHandler(stream)

        def write_lines(letter: str) -> None:
            for _ in range(20):
                handler.write(letter * 200)

        threads = [threading.Thread(target=write_lines, args=(letter,)) for letter in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stream.close()
        assert {"".join(set(line)) for line in written.read().split()} == set("abcd")


def test_a_requests_line_is_json_with_its_route(
    monkeypatch: pytest.MonkeyPatch, writer: BatchedWriter, stream: io.StringIO
) -> None:
    monkeypatch.setattr(log_config, "_request_log_writer", writer)
    log_config.log_request("PUT", "/attempts/<token>", 200, 0.01234, "trace-0042")
    writer.flush()
    line = json.loads(stream.getvalue())
    assert (line["route"], line["status"], line["seconds"], line["request_id"]) == (
        "/attempts/<token>", 200, 0.0123, "trace-0042"
    )  # fmt: skip


@pytest.mark.parametrize(("level", "requests"), [("debug", 1), ("info", 1), ("warning", 0), ("error", 0)])
def test_the_level_decides_whether_requests_are_logged(
    level: Literal["debug", "info", "warning", "error"],
    requests: int,
    stream: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    log_config.configure_logging("json", level)
    try:
        log_config.log_request("GET", "/quizzes/<slug>", 200, 0.1, "abc")
        logging.getLogger("poolproof.test").warning("a warning")
        log_config._request_log_writer.flush()
    finally:
        monkeypatch.undo()
        log_config.configure_logging("json")
    events = [json.loads(line)["event"] for line in stream.getvalue().splitlines()]
    assert events.count("request") == requests
    assert ("a warning" in events) == (level != "error")
