from __future__ import annotations

import ctypes
import gc
import io
import os
import threading
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Self

import pytest
from flask.testing import FlaskClient
from sqlalchemy import insert

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.spreadsheets import read_csv, read_xlsx
from tests.unit.results.answered_quizzes import draw_answers, store_attempts
from webapp.attempts import scoring, tokens
from webapp.attempts.models import Attempt
from webapp.lab.factories import make_quiz
from webapp.quizzes.published import PublishedVersion
from webapp.quizzes.rules import CountedAttempt
from webapp.results import exports
from webapp.results.exports import ExportFormat, stream_results

MIB = 1024 * 1024
PLAYERS = 100_000


def test_every_attempt_is_a_row_of_both_files_as_it_is_stored(
    work: UnitOfWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "PAGE_SIZE", 7)
    quiz = make_quiz(work, questions=3)
    attempts = draw_answers(quiz, players=30)
    store_attempts(work, quiz, attempts)
    table = read_csv(b"".join(stream_results(work, quiz, ExportFormat.CSV)))
    worksheet = read_xlsx(b"".join(stream_results(work, quiz, ExportFormat.XLSX)))
    expected = {
        (f"player {number}", str(scoring.score(quiz.document, chosen)), *marks_and_texts(quiz, chosen))
        for number, chosen in enumerate(attempts)
    }
    assert {(row[0], row[2], *row[7:]) for row in table[1:]} == expected
    assert {(row["A"], row["C"], *(row.get(column, "") for column in "HIJKLM")) for row in worksheet[1:]} == expected
    assert table[0][7] == f"1. {quiz.document.questions[0].stem}" == worksheet[0]["H"]


def marks_and_texts(quiz: PublishedVersion, chosen: dict[int, int]) -> list[str]:
    cells = []
    for question in quiz.document.questions:
        bits = chosen.get(question.item_id)
        right = bits == 1 << question.right[0]
        cells += ["" if bits is None else "right" if right else "wrong"]
        cells += ["" if bits is None else question.choices[bits.bit_length() - 1]]
    return cells


def test_of_several_attempts_the_files_say_which_one_counts(work: UnitOfWork) -> None:
    quiz = make_quiz(work)
    quiz = replace(quiz, rules=replace(quiz.rules, max_attempts=3, counted_attempt=CountedAttempt.BEST))
    player = tokens.new_player_id()
    claims = [tokens.new_claim(quiz.version_id, player, "Ada", quiz.now, number) for number in (1, 2, 3)]
    rows = [
        {
            "id": claim.attempt_id,
            "quiz_version_id": quiz.version_id,
            "player_id": player,
            "number": claim.number,
            "player_name": "Ada",
            "started_at": quiz.now,
            "score": score,
            "milliseconds": None if score is None else 500,
        }
        for claim, score in zip(claims, (0, 1, None), strict=True)
    ]
    with work.transaction() as connection:
        connection.execute(insert(Attempt), rows)
    table = read_csv(b"".join(stream_results(work, quiz, ExportFormat.CSV)))
    assert table[0][7:9] == ["attempt", "counts"]
    assert sorted(row[7:9] for row in table[1:]) == [["1", "no"], ["2", "yes"], ["3", "no"]]
    assert table[0][9] == f"1. {quiz.document.questions[0].stem}"


def test_a_name_that_is_a_formula_is_a_text_in_both_files(work: UnitOfWork) -> None:
    quiz = make_quiz(work)
    store_attempts(work, quiz, [{}], ["=HYPERLINK(1)"])
    assert read_csv(b"".join(stream_results(work, quiz, ExportFormat.CSV)))[1][0] == "'=HYPERLINK(1)"
    content = b"".join(stream_results(work, quiz, ExportFormat.XLSX))
    assert read_xlsx(content)[1]["A"] == "'=HYPERLINK(1)"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert b"<f>" not in archive.read("xl/worksheets/sheet1.xml")


def test_the_file_has_the_quizs_title_as_its_name(
    client: FlaskClient, author: dict[str, str], work: UnitOfWork
) -> None:
    quiz = make_quiz(work)
    address = f"/api/v1/quizzes/{quiz.quiz_id}/results/export"
    for file_format in ExportFormat:
        response = client.get(f"{address}?format={file_format}", headers=author)
        assert response.headers["Content-Disposition"] == f'attachment; filename="Numbers.{file_format}"'
        assert response.status_code == 200
        assert response.data
    assert client.get(f"{address}?format=pdf", headers=author).status_code == 422
    assert client.get(address).status_code == 401


def test_no_connection_is_held_while_a_client_takes_its_time(work: UnitOfWork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "PAGE_SIZE", 5)
    quiz = make_quiz(work)
    store_attempts(work, quiz, draw_answers(quiz, players=30))
    for _ in stream_results(work, quiz, ExportFormat.CSV):
        assert work.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


class Memory:
    """Samples how much memory of this process is resident while a block runs."""

    def __init__(self) -> None:
        gc.collect()
        # What was freed before is given back, so that what is needed anew is seen.
        ctypes.CDLL(None).malloc_trim(0)
        self._before = self._peak = resident_bytes()
        self._has_ended = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._has_ended.set()
        self._thread.join()

    @property
    def growth(self) -> int:
        return self._peak - self._before

    def _sample(self) -> None:
        while not self._has_ended.wait(0.02):
            self._peak = max(self._peak, resident_bytes())


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.soak
@pytest.mark.slow  # a hundred thousand attempts are stored and read twice
def test_a_hundred_thousand_attempts_are_exported_in_flat_memory(work: UnitOfWork) -> None:
    quiz = make_quiz(work, questions=10)
    for _ in range(10):
        store_attempts(work, quiz, draw_answers(quiz, players=PLAYERS // 10))
    for file_format in ExportFormat:
        # What is loaded once, and kept.
        b"".join(stream_results(work, make_quiz(work), file_format))
        with Memory() as memory:
            size = sum(len(piece) for piece in stream_results(work, quiz, file_format))
        print(f"{file_format}: {size / MIB:.1f} MiB, memory grew by {memory.growth / MIB:.1f} MiB")  # noqa: T201
        assert memory.growth < 64 * MIB
