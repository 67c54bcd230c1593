"""The database servers of a run, started when first asked for, and schemas on them: empty, migrated or prepared.

With pytest-xdist every worker has its own servers. What takes long, to migrate a schema and to prepare one for a
service, is done once in a run for each kind of database, and kept as a file that all workers copy. What is imported
inside functions is what a run that asks for no database need not load.
"""

from __future__ import annotations

import fcntl
import os
import pickle
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from tests.support.breakable import BreakableServer
    from webapp.lab.services.database_server import DatabaseServer
    from webapp.lab.services.programs import Flavour

State = Literal["migrated", "prepared"]
"""With its tables; or with them, an author whose password is known and the sample quiz, as after a first start."""
TEMPLATE = "poolproof_template"
GIVEN = "TEST_DATABASE_URL"


class Databases:
    """All databases of this process."""

    def __init__(self, folder: Path, shared: Path) -> None:
        """Keep data in a folder of this process's, and templates in one that it shares with other workers."""
        self._folder = folder
        self._shared = shared
        self.versions: dict[str, str] = {}
        """Of the servers that were started."""
        self._running: dict[str, DatabaseServer] = {}
        self._breakable: dict[str, BreakableServer] = {}

    def empty(self, flavour: str, schema: str) -> str:
        """Return the address of a fresh schema with nothing in it."""
        if flavour == "sqlite":
            return f"sqlite:///{self._fresh_file(schema)}"
        if base_url := os.environ.get(GIVEN):
            return _empty_schema(base_url, schema + os.environ.get("PYTEST_XDIST_WORKER", ""))
        server = self._server(flavour)
        server.execute(f"DROP DATABASE IF EXISTS `{schema}`")
        server.create_database(schema)
        return server.url(schema)

    def copy(self, flavour: str, schema: str, state: State) -> str:
        """Return the address of a fresh schema in this state."""
        if flavour == "sqlite":
            file = self._fresh_file(schema)
            shutil.copyfile(self._template(flavour, state), file)
            return f"sqlite:///{file}"
        if GIVEN in os.environ:
            url = self.empty(flavour, schema)
            self._bring(url, state)
            return url
        server = self._server(flavour)
        self.restore(server, schema, state)
        return server.url(schema)

    def restore(self, server: DatabaseServer, schema: str, state: State) -> None:
        """Make a schema in this state anew, on any server."""
        from tests.support import snapshots

        template = self._template(server.flavour, state).read_bytes()
        snapshots.restore(server, schema, pickle.loads(template))  # noqa: S301 - we have written it

    def breakable(self, flavour: str, *options: str) -> DatabaseServer:
        """Return the server that tests may break, reset."""
        from tests.support.breakable import BreakableServer

        if flavour not in self._breakable:
            folder = self._folder / f"breakable-{flavour}"
            self._breakable[flavour] = BreakableServer(cast("Flavour", flavour), folder, *options)
        return self._breakable[flavour].reset(*options)

    def stop(self) -> None:
        """Stop all servers."""
        servers = [*self._running.values(), *(breakable.server for breakable in self._breakable.values())]
        self._running, self._breakable = {}, {}
        for server in servers:
            server.stop()

    def _server(self, flavour: str) -> DatabaseServer:
        from webapp.lab.services.database_server import new_server

        if flavour not in self._running:
            self._running[flavour] = new_server(cast("Flavour", flavour), self._folder / flavour)
            self.versions[flavour] = self._running[flavour].version
        return self._running[flavour]

    def _fresh_file(self, schema: str) -> Path:
        for old in self._folder.glob(f"{schema}.sqlite*"):
            old.unlink()
        return self._folder / f"{schema}.sqlite"

    def _template(self, flavour: str, state: State) -> Path:
        """Return a file with a database in this state; the first process that needs one makes it."""
        file = self._shared / f"{flavour}-{state}"
        with file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not file.exists():
                draft = file.with_suffix(".draft")
                if flavour == "sqlite":
                    self._make_file(draft, state)
                else:
                    self._make_snapshot(draft, flavour, state)
                draft.rename(file)
        return file

    def _make_file(self, draft: Path, state: State) -> None:
        if state == "prepared":
            shutil.copyfile(self._template("sqlite", "migrated"), draft)
        self._bring(f"sqlite:///{draft}", state, is_migrated=state == "prepared")

    def _make_snapshot(self, draft: Path, flavour: str, state: State) -> None:
        from tests.support import snapshots

        breakable = self._breakable.get(flavour)
        # A run of fault tests alone has no other server.
        server = breakable.server if breakable and flavour not in self._running else self._server(flavour)
        if state == "prepared":
            self.restore(server, TEMPLATE, "migrated")
        else:
            server.create_database(TEMPLATE)
        self._bring(server.url(TEMPLATE), state, is_migrated=state == "prepared")
        draft.write_bytes(pickle.dumps(snapshots.take(server, TEMPLATE)))
        server.execute(f"DROP DATABASE `{TEMPLATE}`")

    def _bring(self, url: str, state: State, *, is_migrated: bool = False) -> None:
        from tests.support.application import migrate, prepare

        with tempfile.TemporaryDirectory(dir=self._folder) as instance:
            if not is_migrated:
                migrate(url, Path(instance))
            if state == "prepared":
                prepare(url, Path(instance))


def _empty_schema(server_url: str, schema: str) -> str:
    from sqlalchemy import text

    from poolproof.engine import create_unpooled_engine
    from poolproof.settings import PoolSettings
    from poolproof.transactions.unit_of_work import UnitOfWork
    from webapp.database_url import normalize_url

    url = normalize_url(server_url, GIVEN, needs_schema=False)
    with UnitOfWork(create_unpooled_engine(url, PoolSettings(), "tests")).autocommit() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {schema}"))
        connection.execute(text(f"CREATE DATABASE {schema} CHARACTER SET utf8mb4"))
    return url.set(database=schema).render_as_string(hide_password=False)
