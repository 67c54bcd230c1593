from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from webapp.lab.loadgen.load_generator import ProcessResult
from webapp.lab.push import push_report
from webapp.lab.push.latest_push import LATEST_FILE, save_latest
from webapp.lab.push.push_report import VerificationResult
from webapp.quizzes.forecast import PUSH_FILE, SIZE_FILE, Forecast, read_forecast

INTACT = VerificationResult(10, 0, 0, 2, 0)


def test_without_a_report_nothing_is_said(tmp_path: Path) -> None:
    assert read_forecast(tmp_path / "none") == Forecast(None, None)


def test_what_a_push_has_stored_is_what_the_author_is_told(tmp_path: Path) -> None:
    empty = push_report.summarize([ProcessResult([], 0.0, 0.0)], INTACT, None)
    summary = replace(empty, users=2000, done=1990, vanished=10, requests_per_second=900.0)
    save_latest(summary, 1.0, tmp_path)
    assert LATEST_FILE == PUSH_FILE
    forecast = read_forecast(tmp_path)
    assert forecast.push is not None
    assert forecast.rate is not None
    assert (forecast.push.users, forecast.push.all_were_served) == (2000, True)
    assert forecast.rate.players_per_second(questions=5) == pytest.approx(100)
    save_latest(replace(summary, verification=replace(INTACT, missing=1)), 1.0, tmp_path)
    broken = read_forecast(tmp_path).push
    assert broken is not None
    assert not broken.all_were_served


def test_of_a_sizing_alone_the_rate_is_told(tmp_path: Path) -> None:
    (tmp_path / SIZE_FILE).write_text(
        json.dumps({"at": "2026-11-28", "workers": 2, "pool": 5, "throughput": 450.0, "p99": None})
    )
    forecast = read_forecast(tmp_path)
    assert forecast.push is None
    assert forecast.rate is not None
    assert forecast.rate.players_per_second(questions=5) == pytest.approx(50)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"users": "many"}', '{"at": 1, "requests_per_second": 1e999}', "[" * 9999, "\x00"]
)
def test_files_that_cannot_be_read_say_nothing(tmp_path: Path, text: str) -> None:
    for name in (PUSH_FILE, SIZE_FILE):
        (tmp_path / name).write_text(text)
    assert read_forecast(tmp_path) == Forecast(None, None)
