"""`poolproof import`, `undo-import` and `export`: question files into the bank, and the bank into files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from webapp.bank import carrying, exports, imports, register, undoing
from webapp.bank.drafts import ItemDraft
from webapp.bank.exports import ExportFormat
from webapp.bank.formats.records import ByteStream, Rejected, UnreadableError
from webapp.bank.imports import Format, Report
from webapp.bank.items import Item
from webapp.bank.register import About, State
from webapp.bank.storing import DryRun
from webapp.pooling.extension import pooling_of_this_app, taking_part

ENDINGS = {".json": Format.JSON, ".gift": Format.GIFT, ".xml": Format.MOODLE_XML, ".csv": Format.CSV}
"""Formats that a file's name tells."""


class _Counted:
    """A binary stream that tells a progress bar how far it has been read."""

    def __init__(self, stream: ByteStream, tell: Callable[[int], None]) -> None:
        self._stream = stream
        self._tell = tell

    def read(self, size: int, /) -> bytes:
        return self._counted(self._stream.read(size))

    def readline(self, size: int, /) -> bytes:
        return self._counted(self._stream.readline(size))

    def _counted(self, content: bytes) -> bytes:
        self._tell(len(content))
        return content


@click.command("import")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--format", "chosen", type=click.Choice([one.value for one in Format]),
    help=f"Default: by the name, {', '.join(ENDINGS)}.",
)  # fmt: skip
@click.option("--category", help="Category of the items. Default for OpenTriviaQA: the file's name.")
@click.option("--dry-run", is_flag=True, help="Say what would happen and keep nothing.")
def import_items(files: tuple[str, ...], chosen: str | None, category: str | None, dry_run: bool) -> None:
    """Import question files into the bank; - is standard input.

    Rejected records are named with file, line and reason; the rest is imported all the
    same. The exit status is 1 only when a file could not be read to its end.
    """
    formats = [_format_of(file, chosen) for file in files]
    pooling = pooling_of_this_app()
    dry = DryRun(pooling.background.read) if dry_run else None
    reports = [Report() for _ in files]
    numbers: dict[str, int] = {}
    failed = False
    with taking_part(pooling, "import"):
        for file, file_format, report in zip(files, formats, reports, strict=True):
            try:
                for number in _import_one(file, file_format, category, dry, report):
                    numbers[file] = number
            except (OSError, UnreadableError) as error:
                failed = True
                reason = error.strerror if isinstance(error, OSError) else error
                click.echo(f"Error: {file} could not be imported: {reason}", err=True)
    _summarise(files, reports, dry_run=dry_run)
    for file, number in numbers.items():
        click.echo(f"{file}: import {number}; `poolproof undo-import {number}` takes it back.")
    if failed:
        sys.exit(1)


def _import_one(
    file: str, file_format: Format, category: str | None, dry: DryRun | None, report: Report
) -> Iterator[int]:
    """Import a file, or look what that would do; yields the import's number when there is one."""
    if file_format is Format.OPENTRIVIAQA and category is None and file != "-":
        category = Path(file).stem.replace("-", " ").capitalize()

    def tell(rejected: Rejected) -> None:
        click.echo(f"{file}:{rejected.line}: {rejected.reason}", err=True)

    with _opened(file) as stream:
        if dry is not None:
            imports.import_records(imports.parse(file_format, stream, category), dry, report, tell)
            return
        work, about = pooling_of_this_app().background, About(None, Path(file).name, file_format, category)
        number = work.transact(lambda connection: register.begin(connection, about, State.IMPORTING))
        yield number
        carrying.import_stream(work, number, about, stream, report=report, tell=tell)


@contextmanager
def _opened(file: str) -> Iterator[ByteStream]:
    """Open a file; where somebody watches, with a progress bar."""
    if file == "-":
        yield sys.stdin.buffer
        return
    path = Path(file)
    with path.open("rb") as stream:
        length, hidden = path.stat().st_size, not sys.stderr.isatty()
        with click.progressbar(length=length, label=f"{path.name:<20}", file=sys.stderr, hidden=hidden) as bar:
            yield _Counted(stream, bar.update)


def _format_of(file: str, chosen: str | None) -> Format:
    if chosen is not None:
        return Format(chosen)
    for ending, file_format in ENDINGS.items():
        if file.lower().endswith(ending):
            return file_format
    choices = " or ".join(f"--format {one}" for one in Format)
    raise click.UsageError(f"The name of {file} does not tell its format; say {choices}.")


def _summarise(files: Sequence[str], reports: Sequence[Report], *, dry_run: bool) -> None:
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
    pooling = pooling_of_this_app()
    with taking_part(pooling, "import"):
        done = undoing.undo(pooling.background, number)
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
    pooling, counts = pooling_of_this_app(), {"written": 0, "refused": 0}

    def counted(found: Iterator[Item]) -> Iterator[Item]:
        for item in found:
            counts["written"] += 1
            yield item

    def refuse(item: ItemDraft, reason: str) -> None:
        counts["refused"] += 1
        click.echo(f"item {getattr(item, 'id', '?')}: {reason}", err=True)

    with taking_part(pooling, "export"), click.open_file(file, "w", encoding="utf-8") as stream:
        found = counted(exports.everything(pooling.background.read, category))
        for piece in exports.dump(ExportFormat(chosen), found, refuse):
            stream.write(piece)
    refused = f", {counts['refused']} refused" if counts["refused"] else ""
    click.echo(f"{counts['written'] - counts['refused']} items written{refused}.", err=True)
