from __future__ import annotations

import io
import json
import logging
from typing import Literal

import pytest

from webapp.web.log_format import make_formatter


def fail(url: str) -> None:
    raise RuntimeError(url)


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_a_librarys_line_and_its_traceback_have_no_secret_in_either_format(log_format: Literal["json", "text"]) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(make_formatter(log_format))
    record = logging.LogRecord("library", logging.ERROR, __file__, 1, "Failed: %s", ("GET /attempts/abc.d",), None)
    try:
        fail("mysql://ada:se.cret@db/quiz")
    except RuntimeError as error:
        record.exc_info = (RuntimeError, error, error.__traceback__)
    handler.emit(record)
    written = stream.getvalue()
    assert "GET /attempts/***" in written
    assert "mysql://ada:***@db/quiz" in written
    assert "Traceback" in written
    assert "se.cret" not in written
    assert "abc.d" not in written
    if log_format == "json":
        assert json.loads(written)["logger"] == "library"
