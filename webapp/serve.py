"""`poolproof serve`: bring the database up to date, then become Gunicorn.

This process is Gunicorn's master later. It loads the libraries once, for all its children, and keeps no module of ours:
what works on the database does so in a forked child.
"""

from __future__ import annotations

import os
import sys

import click

from webapp.forking import preload_libraries, run_in_child
from webapp.settings import PROJECT_ROOT, Settings, load_settings


@click.command()
@click.option("--migrate/--no-migrate", default=True, help="Bring the database up to date first.")
def serve(migrate: bool) -> None:
    """Bring the database up to date, then serve with Gunicorn."""
    settings = load_settings()
    click.echo(f"Database: {settings.redacted_database_url}")
    preload_libraries()
    if migrate and (status := run_in_child(lambda: _prepare_database(settings))):
        sys.exit(status)
    _run_gunicorn()


def _prepare_database(settings: Settings) -> None:
    """Bring the tables up to date, and make what a first start needs. Runs in a child: see `run_in_child`."""
    from webapp.database_setup import is_set_up

    if not is_set_up(settings):
        from webapp.first_start import set_up

        set_up(settings)


def _run_gunicorn() -> None:
    import gunicorn.__main__
    from gunicorn.app.wsgiapp import run

    os.chdir(PROJECT_ROOT)
    # As `python -m gunicorn` has it: Gunicorn starts itself again with these words when it is told to (USR2).
    sys.argv = [gunicorn.__main__.__file__, "--config", str(PROJECT_ROOT / "gunicorn.conf.py"), "wsgi:app"]
    sys.exit(run())
