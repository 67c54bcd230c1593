"""`poolproof lab drill`: rehearsals of the bad day."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click
from sqlalchemy import URL, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from webapp.lab.drill import MARK, Drill, Ground, alone
from webapp.lab.drills.catalogue import DRILLS
from webapp.lab.drills.findings import as_text, report_of
from webapp.lab.drills.rehearsal import Result, rehearse
from webapp.lab.keeping import Progress, hand_over, with_report_options
from webapp.lab.services.programs import ServerError, find_program
from webapp.lab.surroundings import surroundings

CUT_SHORT = 130
"""Exit status after Ctrl-C."""
SERVER_STARTS_IN = 10
"""Seconds, about."""


@click.command("drill")
@click.argument("names", nargs=-1, type=click.Choice(list(DRILLS)), metavar="[NAME]...")
@click.option("--list", "is_listed", is_flag=True, help="Say which drills there are.")
@click.option("--without-protection", is_flag=True, help="Take away what each drill tests: then it has to fail.")
@click.option("--mysqld", metavar="PATH", help="The server program. Default: mysqld or mariadbd on the PATH.")
@click.option("--against", metavar="URL", help="A staging server of yours instead, marked by a table poolproof_lab.")
@click.option("--yes-this-is-staging", "is_staging", is_flag=True, help="Needed with --against.")
@with_report_options
def command(
    names: tuple[str, ...],
    is_listed: bool,
    without_protection: bool,
    mysqld: str | None,
    against: str | None,
    is_staging: bool,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Rehearse the bad day on servers that the lab starts itself: all drills, or those named.

    Each loads a pool, or the service, steadily, does it harm, times the recovery and holds it against stated bounds.
    The exit status is 1 when a verdict is "failed".
    """
    chosen = [one for name, one in DRILLS.items() if not names or name in names]
    if is_listed:
        click.echo("\n\n".join(map(_described, chosen)))
        return
    address = _staging(against, is_staging=is_staging)
    try:
        ground = Ground(address=_text(address)) if address is not None else Ground(find_program(mysqld))
    except ServerError as error:
        raise click.ClickException(str(error)) from error
    try:
        results, environment = _held(ground, chosen, address, is_protected=not without_protection)
    except ServerError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        raise click.ClickException("Stopped before anything was measured.") from None
    finally:
        ground.close()
    again = _command(names, address, without_protection=without_protection)
    report = report_of(results, again, environment, is_protected=not without_protection)
    if not as_json:
        click.echo(as_text(report))
    hand_over(report, folder, as_json=as_json)
    sys.exit(_status(results))


def _held(
    ground: Ground, chosen: Sequence[Drill], address: URL | None, *, is_protected: bool
) -> tuple[list[Result], dict[str, str]]:
    left = {one.name: one.seconds for one in chosen if ground.is_own or not one.needs_own_server}
    starting = SERVER_STARTS_IN if ground.is_own else 0
    progress = Progress(sum(left.values()) + starting)
    progress.say("a server: started on fresh data" if ground.is_own else "the server: looked at")
    environment = _environment(address, ground)

    def tell(one: Drill) -> None:
        progress.say(f"{one.name}: {one.hypothesis}", left=sum(left.values()))
        left.pop(one.name, None)

    results = rehearse(ground, chosen, is_protected=is_protected, tell=tell)
    progress.end()
    return results, environment


def _status(results: Sequence[Result]) -> int:
    verdicts = {one.verdict for one in results}
    if "failed" in verdicts or not verdicts & {"passed", "cut short"}:
        return 1
    return CUT_SHORT if "cut short" in verdicts else 0


def _described(one: Drill) -> str:
    where = "" if one.needs_own_server else " Also with --against."
    return f"{one.name} ({one.seconds:g} s)\n  {one.hypothesis}\n  Without protection: {one.without}.{where}"


def _environment(address: URL | None, ground: Ground) -> dict[str, str]:
    with alone(ground.address()) as connection:
        version = connection.execute(text("SELECT VERSION()")).scalar_one()
    whose = "started by the lab" if address is None else _text(address, hide=True)
    return {**surroundings(), "Database": f"{version}, {whose}", "Configuration": "each drill's own"}


def _staging(against: str | None, *, is_staging: bool) -> URL | None:
    """Return the address of the operator's server, after a look at whether it is meant for drills."""
    if against is None:
        return None
    try:
        address = make_url(against)
    except ArgumentError as error:
        raise click.UsageError("--against cannot be read; write mysql://user:password@host/schema.") from error
    if address.get_backend_name() not in {"mysql", "mariadb"} or not address.database:
        raise click.UsageError(
            "--against takes a MySQL or MariaDB server and a schema: mysql://user:password@host/schema."
        )
    address = address.set(drivername="mysql+pymysql")
    shown = _text(address, hide=True)
    if not is_staging:
        raise click.UsageError(
            f"Drills kill connections and hold others up. Add --yes-this-is-staging if {shown} is there for that."
        )
    try:
        with alone(_text(address)) as connection:
            found = connection.execute(text("SHOW TABLES LIKE :mark"), {"mark": MARK}).all()
    except SQLAlchemyError as error:
        raise click.ClickException(f"{shown} cannot be reached: {str(error).splitlines()[0]}") from error
    if not found:
        raise click.ClickException(
            f"{shown} is not marked as a server for drills. If it is: CREATE TABLE {MARK} (id INT PRIMARY KEY)"
        )
    return address


def _command(names: Sequence[str], address: URL | None, *, without_protection: bool) -> str:
    words = ["poolproof lab drill", *names]
    words += ["--without-protection"] if without_protection else []
    words += [f"--against '{_text(address, hide=True)}' --yes-this-is-staging"] if address is not None else []
    return " ".join(words)


def _text(address: URL, *, hide: bool = False) -> str:
    return address.render_as_string(hide_password=hide)
