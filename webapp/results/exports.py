"""The results of every player as a file: attempts are read page by page, and no connection is held while it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from itertools import chain, islice
from tempfile import TemporaryFile

from poolproof.transactions.unit_of_work import ConnectionFactory, UnitOfWork
from webapp.attempts import player_rows
from webapp.attempts.counting import counting_of
from webapp.attempts.player_rows import PlayerRow
from webapp.attempts.scoring import as_positions
from webapp.db.streamed_reads import connect_for_stream
from webapp.quizzes.documents import QuizDocument
from webapp.quizzes.published import PublishedVersion
from webapp.results.csv_file import dump_csv
from webapp.results.marks import AnswerMark, marks_of
from webapp.results.spreadsheet_cells import Cell, safe_cell
from webapp.results.xlsx_file import write_xlsx
from webapp.web.file_names import content_disposition

PAGE_SIZE = 500
CHUNK_BYTES = 64 * 1024
MAX_STEM = 60
"""Characters of a question in the name of its columns."""
TEXT_OF_MARK = {mark: "" if mark is AnswerMark.MISSING else str(mark) for mark in AnswerMark}


class ExportFormat(StrEnum):
    """A format of the file."""

    CSV = "csv"
    XLSX = "xlsx"


MEDIA_TYPES = {
    ExportFormat.CSV: "text/csv; charset=utf-8",
    ExportFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def response_headers(version: PublishedVersion, file_format: ExportFormat) -> dict[str, str]:
    """Return the headers of a file of results, whose name is the quiz's title."""
    return {
        "Content-Type": MEDIA_TYPES[file_format],
        "Content-Disposition": content_disposition(f"{version.title}.{file_format}"),
    }


def stream_results(work: UnitOfWork, version: PublishedVersion, file_format: ExportFormat) -> Iterator[bytes]:
    """Return a file's bytes piece by piece; the first page of attempts is read before it returns.

    It is read within the request's deadline, the others without one. A workbook is complete before its first byte,
    since its table of contents needs what follows: it is written to a temporary file.
    """
    rows = iter_attempts(connect_for_stream(work), version)
    # An error before the first byte can still become an error response.
    first = list(islice(rows, 1))
    table = iter_table(version, chain(first, rows))
    if file_format is ExportFormat.CSV:
        return dump_csv(table)
    workbook = _send_workbook(table)
    return chain([next(workbook)], workbook)


def iter_attempts(connect: ConnectionFactory, version: PublishedVersion) -> Iterator[PlayerRow]:
    """Yield the attempts at a version; each page is read with a connection of its own."""
    after, counting = None, counting_of(version.rules)
    while True:
        with connect() as connection:
            page = player_rows.list_by_player(connection, version.version_id, after, PAGE_SIZE, counting)
        if not page:
            return
        yield from page
        after = page[-1].player_id


def iter_table(version: PublishedVersion, rows: Iterator[PlayerRow]) -> Iterator[list[Cell]]:
    """Yield the cells of a table, the names of its columns first."""
    document, has_several = version.document, version.rules.max_attempts > 1
    names: list[Cell] = ["name", "state", "points", "out of", "seconds", "started (UTC)", "finished (UTC)"]
    names += ["attempt", "counts"] if has_several else []
    for number, question in enumerate(document.questions, start=1):
        stem = " ".join(question.stem.split())
        title = f"{number}. {stem[:MAX_STEM]}{'…' if len(stem) > MAX_STEM else ''}"
        names += [title, f"{number}. answer"]
    yield [safe_cell(name) for name in names]
    for row in rows:
        counted: list[Cell] = [row.number, "yes" if row.counts else "no"] if has_several else []
        cells = chain(_cells(document, row), counted, _answer_cells(document, row))
        yield [safe_cell(cell) for cell in cells]


def _cells(document: QuizDocument, row: PlayerRow) -> Iterator[Cell]:
    yield row.player_name
    yield "playing" if row.score is None else "finished" if row.finished_at else "not finished"
    yield row.score
    yield document.max_score
    yield None if row.milliseconds is None else row.milliseconds / 1000
    yield row.started_at
    yield row.finished_at


def _answer_cells(document: QuizDocument, row: PlayerRow) -> Iterator[Cell]:
    marks = marks_of(document, row)
    for question in document.questions:
        # A question that was not drawn for this player has empty cells, as one without an answer has.
        yield TEXT_OF_MARK[marks.get(question.item_id, AnswerMark.MISSING)]
        bits = row.answers.get(question.item_id, 0)
        yield " | ".join(question.choices[position] for position in as_positions(bits))


def _send_workbook(table: Iterator[list[Cell]]) -> Iterator[bytes]:
    with TemporaryFile() as file:
        write_xlsx(file, table)
        # The workbook is complete: what is next is asked for by the response.
        yield b""
        file.seek(0)
        while piece := file.read(CHUNK_BYTES):
            yield piece
