"""`poolproof db`: Flask-Migrate's commands, on our migrations; those that change tables do it under the lease."""

from __future__ import annotations

import click
from flask import current_app, g
from flask.cli import with_appcontext
from flask_migrate.cli import db as flask_migrate_db

from webapp import schema
from webapp.extensions import db as database
from webapp.schema import bind_migrations, check_revision


@click.group("db", commands=dict(flask_migrate_db.commands))
@with_appcontext
def db() -> None:
    """Bring the tables to a revision, or show which it is."""
    bind_migrations(current_app)
    with database.engine.connect() as connection:
        check_revision(connection)
    # Flask-Migrate's own group sets these from its options: another folder, arguments for env.py.
    g.directory, g.x_arg = None, ()


@db.command()
@click.argument("revision", default="head")
@with_appcontext
def upgrade(revision: str) -> None:
    """Run the migrations up to a revision."""
    schema.upgrade(current_app, revision)


@db.command(context_settings={"ignore_unknown_options": True})
@click.argument("revision", default="-1")
@with_appcontext
def downgrade(revision: str) -> None:
    """Revert the migrations after a revision."""
    schema.downgrade(current_app, revision)
