from __future__ import annotations

import io
import json
import sys

import pytest
from gunicorn.config import Config

from webapp.web.server.gunicorn_logger import logger_class


def test_a_line_of_gunicorn_is_one_json_object_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    logger = logger_class("json")(Config())
    try:
        logger.info("Booting worker with pid: %s", 7)
        logger.warning("Error handling request /attempts/abc.d/finish")
    finally:
        for handler in list(logger.error_log.handlers):
            logger.error_log.removeHandler(handler)
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (first["event"], first["level"]) == ("Booting worker with pid: 7", "info")
    assert second["event"] == "Error handling request /attempts/***/finish"


def test_a_setup_for_a_reload_adds_no_second_handler() -> None:
    logger = logger_class("text")(Config())
    logger.setup(Config())
    assert len([handler for handler in logger.error_log.handlers if getattr(handler, "_gunicorn", False)]) == 1
    for handler in list(logger.error_log.handlers):
        logger.error_log.removeHandler(handler)
