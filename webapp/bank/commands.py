"""`poolproof items`: question files into the bank, and the bank into files."""

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
from webapp.bank.imports import FORMATS_BY_SUFFIX, Format, ImportReport, detect_format
from webapp.bank.item_draft import ItemDraft
from webapp.bank.items import Item


class _ProgressStream:
    """A binary stream that reports how many bytes were read."""

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


@click.group()
def items() -> None:
    """Import, export and undo imports of the bank's items."""


@items.command("import")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--format", "chosen", type=click.Choice([each.value for each in Format]),
    help="The format of all files. By default a file's name tells its format by the suffix"
    f" {', '.join(list(FORMATS_BY_SUFFIX)[:-1])} or {list(FORMATS_BY_SUFFIX)[-1]}.",
)  # fmt: skip
@click.option(
    "--category",
    help="The category of items that name none. For OpenTriviaQA the default is the file's name without its suffix.",
)
@click.option("--dry-run", is_flag=True, help="Report what an import would do, and store nothing.")
def import_items(files: tuple[str, ...], chosen: str | None, category: str | None, dry_run: bool) -> None:
    """Import question files into the bank; - is standard input.

    Rejected records are listed with file, line and reason; the others are imported all the
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
        click.echo(f"{file}: import {number}; `poolproof items undo {number}` undoes it.")
    if failed:
        sys.exit(1)


def _import_file(
    file: str, file_format: Format, category: str | None, dry_run: DryRun | None, report: ImportReport
) -> Iterator[int]:
    """Import a file, or do a dry run; yield the import's number as soon as there is one."""
    if file_format is Format.OPENTRIVIAQA and category is None and file != "-":
        category = Path(file).stem.replace("-", " ").capitalize()

    def print_rejected(rejected: Rejected) -> None:
        click.echo(f"{file}:{rejected.line}: {rejected.reason}", err=True)

    with _open_with_progress(file) as stream:
        if dry_run is not None:
            imports.import_records(imports.parse(file_format, stream, category), dry_run, report, print_rejected)
            return
        work, spec = get_pooling().background, ImportSpec(None, Path(file).name, file_format, category)
        number = work.run_in_transaction(lambda connection: import_jobs.create(connection, spec, ImportState.IMPORTING))
        yield number
        import_service.import_stream(work, number, spec, stream, report=report, on_rejected=print_rejected)


@contextmanager
def _open_with_progress(file: str) -> Iterator[ByteStream]:
    """Open a file; on a terminal, with a progress bar."""
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
    detected = detect_format(file)
    if detected is None:
        choices = " or ".join(f"--format {file_format}" for file_format in Format)
        raise click.UsageError(f"The name of {file} does not tell its format; give {choices}.")
    return detected


def _print_summary(files: Sequence[str], reports: Sequence[ImportReport], *, dry_run: bool) -> None:
    titles = ["file", "records", "would be new" if dry_run else "new", "duplicate", "repaired", "rejected"]
    counts = [(each.records, each.new, each.duplicate, each.repaired, each.rejected) for each in reports]
    rows = [titles, *([file, *map(str, row)] for file, row in zip(files, counts, strict=True))]
    if len(files) > 1:
        rows.append(["total", *(str(sum(column)) for column in zip(*counts, strict=True))])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *numbers in rows:
        cells = [
            name.ljust(widths[0]),
            *(number.rjust(width) for number, width in zip(numbers, widths[1:], strict=True)),
        ]
        click.echo("  ".join(cells))


@items.command("undo")
@click.argument("number", type=click.IntRange(min=1))
def undo_import(number: int) -> None:
    """Undo the import with this number.

    The items that it added are removed, the items that it changed are restored. Items that were
    changed since, or that a quiz is built from, stay as they are and are listed.
    """
    pooling = get_pooling()
    with registered_process(pooling, "import"):
        job = import_undo.undo(pooling.background, number)
    for skipped in job.stayed:
        click.echo(f"item {skipped.item} stays: {skipped.reason}", err=True)
    click.echo(f"{job.removed} items removed, {job.restored} restored.")


@items.command("export")
@click.argument("file", default="-", metavar="[FILE]")
@click.option(
    "--format", "chosen", type=click.Choice([each.value for each in ExportFormat]), default=ExportFormat.JSON.value,
    show_default=True, help="The format of the file. JSON loses nothing; Aiken holds only stem, choices and answer.",
)  # fmt: skip
@click.option("--category", help="Export only the items of this category.")
def export_items(file: str, chosen: str, category: str | None) -> None:
    """Write the bank's items to a file; - is standard output.

    Items that the format cannot hold are listed with the reason; the others are written all the same.
    """
    pooling, counts = get_pooling(), {"read": 0, "refused": 0}

    def count_read(exported: Iterator[Item]) -> Iterator[Item]:
        for item in exported:
            counts["read"] += 1
            yield item

    def print_refused(item: ItemDraft, reason: str) -> None:
        counts["refused"] += 1
        click.echo(f"item {getattr(item, 'id', '?')}: {reason}", err=True)

    with registered_process(pooling, "export"), click.open_file(file, "w", encoding="utf-8") as stream:
        exported = count_read(exports.iter_items(pooling.background.read, category))
        for piece in exports.dump(ExportFormat(chosen), exported, print_refused):
            stream.write(piece)
    refused = f", {counts['refused']} refused" if counts["refused"] else ""
    click.echo(f"{counts['read'] - counts['refused']} items written{refused}.", err=True)
