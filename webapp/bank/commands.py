"""`poolproof import`: question files into the bank."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import click

from webapp.bank import imports
from webapp.bank.formats.records import UnreadableError
from webapp.bank.imports import DryRun, Format, Report, Store
from webapp.pooling.extension import transact


class _Counted:
    """A binary stream that tells a progress bar how far it has been read."""

    def __init__(self, stream: IO[bytes], bar: object) -> None:
        self._stream = stream
        self._bar = bar

    def __iter__(self) -> Iterator[bytes]:
        for line in self._stream:
            self._bar.update(len(line))  # type: ignore[attr-defined]
            yield line

    def read(self, size: int = -1) -> bytes:
        content = self._stream.read(size)
        self._bar.update(len(content))  # type: ignore[attr-defined]
        return content


@click.command("import")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--format", "chosen", type=click.Choice([one.value for one in Format]), help="Default: by the name, .json."
)
@click.option("--category", help="Category of the items. Default for OpenTriviaQA: the file's name.")
@click.option("--dry-run", is_flag=True, help="Say what would happen and keep nothing.")
def import_items(files: tuple[str, ...], chosen: str | None, category: str | None, dry_run: bool) -> None:
    """Import question files into the bank; - is standard input.

    Rejected records are named with file, line and reason; the rest is imported all the
    same. The exit status is 1 only when a whole file could not be read.
    """
    formats = [_format_of(file, chosen) for file in files]
    store: Store = DryRun(transact) if dry_run else imports.into(transact)
    reports: dict[str, Report] = {}
    for file, file_format in zip(files, formats, strict=True):
        try:
            reports[file] = _import_one(file, file_format, category, store)
        except (OSError, UnreadableError) as error:
            click.echo(f"{file}: not imported: {error}", err=True)
    _summarise(reports, dry_run=dry_run)
    if len(reports) < len(set(files)):
        sys.exit(1)


def _import_one(file: str, file_format: Format, category: str | None, store: Store) -> Report:
    if file_format is Format.OPENTRIVIAQA and category is None and file != "-":
        category = Path(file).stem.replace("-", " ").capitalize()
    with _opened(file) as stream:
        report = imports.import_records(imports.parse(file_format, stream, category), store)
    for rejected in report.rejected:
        click.echo(f"{file}:{rejected.line}: {rejected.reason}", err=True)
    return report


@contextmanager
def _opened(file: str) -> Iterator[IO[bytes]]:
    """Open a file; where somebody watches, with a progress bar."""
    if file == "-":
        yield sys.stdin.buffer
        return
    path = Path(file)
    size, hidden = path.stat().st_size, not sys.stderr.isatty()
    label = f"{path.name:<20}"
    with path.open("rb") as stream, click.progressbar(length=size, label=label, file=sys.stderr, hidden=hidden) as bar:
        yield cast("IO[bytes]", _Counted(stream, bar))


def _format_of(file: str, chosen: str | None) -> Format:
    if chosen is not None:
        return Format(chosen)
    if file.endswith(".json"):
        return Format.JSON
    raise click.UsageError(f"The name of {file} does not tell its format; say --format opentriviaqa or --format json.")


def _summarise(reports: dict[str, Report], *, dry_run: bool) -> None:
    wide = max((len(file) for file in reports), default=0)
    new = "would be new" if dry_run else "new"
    click.echo(f"{'file':<{wide}}  {'records':>8}  {new:>12}  {'duplicate':>9}  {'repaired':>8}  {'rejected':>8}")
    for file, report in reports.items():
        click.echo(
            f"{file:<{wide}}  {report.records:>8}  {report.new:>12}  {report.duplicate:>9}"
            f"  {report.repaired:>8}  {len(report.rejected):>8}"
        )
