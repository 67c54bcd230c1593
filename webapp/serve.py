"""`poolproof serve`: bring the database up to date, then become Gunicorn.

This process becomes Gunicorn's master. It imports the libraries once, for all its children, and keeps no module of
ours: everything that needs the database runs in a forked child.
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
    """Bring the tables up to date, and create what a first start needs. Runs in a child: see `run_in_child`."""
    from webapp.database_setup import is_set_up

    if not is_set_up(settings):
        from webapp.first_start import set_up

        set_up(settings)


def _run_gunicorn() -> None:
    import gunicorn.__main__
    from gunicorn.app.wsgiapp import run

    os.chdir(PROJECT_ROOT)
    # As `python -m gunicorn` sets it: on USR2 Gunicorn executes itself again with these arguments.
    sys.argv = [gunicorn.__main__.__file__, "--config", str(PROJECT_ROOT / "gunicorn.conf.py"), "wsgi:app"]
    sys.exit(run())
