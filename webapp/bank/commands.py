"""`poolproof import`, `undo-import` and `export`: question files into the bank, and the bank into files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from poolproof.integrations.flask_ext import get_pooling, registered_process
from webapp.bank import exports, import_jobs, import_service, import_undo, imports
from webapp.bank.exports import ExportFormat
from webapp.bank.formats.parse_result import ByteStream, Rejected, UnreadableError
from webapp.bank.import_jobs import ImportSpec, ImportState
from webapp.bank.import_store import DryRun
from webapp.bank.imports import Format, ImportReport
from webapp.bank.item_draft import ItemDraft
from webapp.bank.items import Item

FORMATS_BY_SUFFIX = {".json": Format.JSON, ".gift": Format.GIFT, ".xml": Format.MOODLE_XML, ".csv": Format.CSV}
"""Formats that a file's name tells."""


class _ProgressStream:
    """A binary stream that tells a progress bar how far it has been read."""

    def __init__(self, stream: ByteStream, on_progress: Callable[[int], None]) -> None:
        self._stream = stream
        self._on_progress = on_progress

    def read(self, size: int, /) -> bytes:
        return self._report_progress(self._stream.read(size))

    def readline(self, size: int, /) -> bytes:
        return self._report_progress(self._stream.readline(size))

    def _report_progress(self, content: bytes) -> bytes:
        self._on_progress(len(content))
        return content


@click.command("import")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--format", "chosen", type=click.Choice([one.value for one in Format]),
    help=f"Default: by the name, {', '.join(FORMATS_BY_SUFFIX)}.",
)  # fmt: skip
@click.option("--category", help="Category of the items. Default for OpenTriviaQA: the file's name.")
@click.option("--dry-run", is_flag=True, help="Say what would happen and keep nothing.")
def import_items(files: tuple[str, ...], chosen: str | None, category: str | None, dry_run: bool) -> None:
    """Import question files into the bank; - is standard input.

    Rejected records are named with file, line and reason; the rest is imported all the
    same. The exit status is 1 only when a file could not be read to its end.
    """
    formats = [_detect_format(file, chosen) for file in files]
    pooling = get_pooling()
    dry = DryRun(pooling.background.read) if dry_run else None
    reports = [ImportReport() for _ in files]
    numbers: dict[str, int] = {}
    failed = False
    with registered_process(pooling, "import"):
        for file, file_format, report in zip(files, formats, reports, strict=True):
            try:
                for number in _import_file(file, file_format, category, dry, report):
                    numbers[file] = number
            except (OSError, UnreadableError) as error:
                failed = True
                reason = error.strerror if isinstance(error, OSError) else error
                click.echo(f"Error: {file} could not be imported: {reason}", err=True)
    _print_summary(files, reports, dry_run=dry_run)
    for file, number in numbers.items():
        click.echo(f"{file}: import {number}; `poolproof undo-import {number}` takes it back.")
    if failed:
        sys.exit(1)


def _import_file(
    file: str, file_format: Format, category: str | None, dry_run: DryRun | None, report: ImportReport
) -> Iterator[int]:
    """Import a file, or look what that would do; yields the import's number when there is one."""
    if file_format is Format.OPENTRIVIAQA and category is None and file != "-":
        category = Path(file).stem.replace("-", " ").capitalize()

    def tell(rejected: Rejected) -> None:
        click.echo(f"{file}:{rejected.line}: {rejected.reason}", err=True)

    with _open_with_progress(file) as stream:
        if dry_run is not None:
            imports.import_records(imports.parse(file_format, stream, category), dry_run, report, tell)
            return
        work, about = get_pooling().background, ImportSpec(None, Path(file).name, file_format, category)
        number = work.run_in_transaction(
            lambda connection: import_jobs.create(connection, about, ImportState.IMPORTING)
        )
        yield number
        import_service.import_stream(work, number, about, stream, report=report, on_rejected=tell)


@contextmanager
def _open_with_progress(file: str) -> Iterator[ByteStream]:
    """Open a file; where somebody watches, with a progress bar."""
    if file == "-":
        yield sys.stdin.buffer
        return
    path = Path(file)
    with path.open("rb") as stream:
        length, hidden = path.stat().st_size, not sys.stderr.isatty()
        with click.progressbar(length=length, label=f"{path.name:<20}", file=sys.stderr, hidden=hidden) as bar:
            yield _ProgressStream(stream, bar.update)


def _detect_format(file: str, chosen: str | None) -> Format:
    if chosen is not None:
        return Format(chosen)
    for ending, file_format in FORMATS_BY_SUFFIX.items():
        if file.lower().endswith(ending):
            return file_format
    choices = " or ".join(f"--format {one}" for one in Format)
    raise click.UsageError(f"The name of {file} does not tell its format; say {choices}.")


def _print_summary(files: Sequence[str], reports: Sequence[ImportReport], *, dry_run: bool) -> None:
    titles = ["file", "records", "would be new" if dry_run else "new", "duplicate", "repaired", "rejected"]
    counts = [(one.records, one.new, one.duplicate, one.repaired, one.rejected) for one in reports]
    rows = [titles, *([file, *map(str, row)] for file, row in zip(files, counts, strict=True))]
    if len(files) > 1:
        rows.append(["total", *(str(sum(column)) for column in zip(*counts, strict=True))])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *numbers in rows:
        cells = [name.ljust(widths[0]), *(number.rjust(wide) for number, wide in zip(numbers, widths[1:], strict=True))]
        click.echo("  ".join(cells))


@click.command("undo-import")
@click.argument("number", type=click.IntRange(min=1))
def undo_import(number: int) -> None:
    """Undo an import: what it added goes, what it changed is again what it was.

    Items that somebody has changed since, or that a quiz is built from, stay and are named.
    """
    pooling = get_pooling()
    with registered_process(pooling, "import"):
        done = import_undo.undo(pooling.background, number)
    for stayed in done.stayed:
        click.echo(f"item {stayed.item} stays: {stayed.reason}", err=True)
    click.echo(f"{done.removed} items removed, {done.restored} brought back to what they were.")


@click.command("export")
@click.argument("file", default="-", metavar="[FILE]")
@click.option(
    "--format", "chosen", type=click.Choice([one.value for one in ExportFormat]), default=ExportFormat.JSON.value,
    show_default=True, help="JSON loses nothing; Aiken has no place for much.",
)  # fmt: skip
@click.option("--category", help="Only the items of this category.")
def export_items(file: str, chosen: str, category: str | None) -> None:
    """Write the bank's items to a file; - is standard output.

    Items that the format cannot hold are named with the reason; the others are written all the same.
    """
    pooling, counts = get_pooling(), {"written": 0, "refused": 0}

    def counted(found: Iterator[Item]) -> Iterator[Item]:
        for item in found:
            counts["written"] += 1
            yield item

    def refuse(item: ItemDraft, reason: str) -> None:
        counts["refused"] += 1
        click.echo(f"item {getattr(item, 'id', '?')}: {reason}", err=True)

    with registered_process(pooling, "export"), click.open_file(file, "w", encoding="utf-8") as stream:
        found = counted(exports.iter_items(pooling.background.read, category))
        for piece in exports.dump(ExportFormat(chosen), found, refuse):
            stream.write(piece)
    refused = f", {counts['refused']} refused" if counts["refused"] else ""
    click.echo(f"{counts['written'] - counts['refused']} items written{refused}.", err=True)
