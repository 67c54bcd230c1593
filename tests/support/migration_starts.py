"""Starts in processes of their own (see `migration_runner`), and what they make of a schema."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, NullPool, create_engine, text

from tests.support import PROJECT
from tests.support.migration_runner import COUNTED, Kill
from tests.support.narrowing import match_in, not_none
from webapp.migration_lease.row_lease import LEASE_TABLE
from webapp.settings import child_environment

NewSchema = Callable[[str, str], str]
Described = tuple[str, list[tuple[Any, ...]]]
"""A table's definition, and its rows or how many there are."""


class Runner:
    """The program that starts and is killed."""

    def __init__(self, instance: Path, *, expires_after: float | None = None) -> None:
        """Keep files in this folder; `expires_after` is of a lease whose holder was killed, in seconds."""
        self._instance = instance
        self._fresh: dict[str, tuple[int, dict[str, Described]]] = {}
        arguments = [] if expires_after is None else [str(expires_after)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.migration_runner", *arguments], cwd=PROJECT,
            env=child_environment({}, inherit_settings=False, import_from=PROJECT),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, action: str, url: str, kill: Kill | None = None) -> tuple[int, str]:
        """Return how it ended, and what it output."""
        order = {"action": action, "url": url, "instance": str(self._instance), "kill": kill}
        stdin, stdout = not_none(self.process.stdin), not_none(self.process.stdout)
        stdin.write(f"{json.dumps(order)}\n")
        stdin.flush()
        answer: dict[str, Any] = json.loads(stdout.readline())
        return answer["status"], answer["output"]

    def succeed(self, action: str, url: str) -> int:
        """Return how many statements it took."""
        status, output = self.run(action, url)
        assert status == 0, output
        return int(match_in(rf"{COUNTED}(\d+)", output)[1])

    def fresh(self, database: str, new_schema: NewSchema) -> tuple[int, dict[str, Described]]:
        """Return how many statements a start on an empty schema takes, and what it makes."""
        if database not in self._fresh:
            url = new_schema(database, "fresh")
            self._fresh[database] = self.succeed("start", url), described(url)
        return self._fresh[database]

    def end(self) -> None:
        not_none(self.process.stdin).close()
        assert self.process.wait(30) == 0
        not_none(self.process.stdout).close()


def described(url: str) -> dict[str, Described]:
    """Each table's definition and number of rows, and what stands in those that a first start fills."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        definitions = definitions_in(connection)
        return {
            name: (definition, [tuple(row) for row in connection.execute(text(contents(name)))])
            for name, definition in definitions.items()
        }


def definitions_in(connection: Connection) -> dict[str, str]:
    if connection.dialect.name == "sqlite":
        known = "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        others = "SELECT tbl_name, sql FROM sqlite_master WHERE type <> 'table' AND sql IS NOT NULL ORDER BY name"
        found = {name: sql for name, sql in connection.execute(text(known)) if not re.match(r"item_words_", name)}
        for name, sql in connection.execute(text(others)):
            found[name] += sql
        return found
    names = "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()"
    return {
        name: re.sub(r" AUTO_INCREMENT=\d+", "", connection.execute(text(f"SHOW CREATE TABLE `{name}`")).one()[1])
        for (name,) in connection.execute(text(names)).all()
    }


def contents(table: str) -> str:
    """Return the statement that reads what does not differ from one first start to the next."""
    named = {"user": "name, role", "quiz": "slug, title", "item": "stem", LEASE_TABLE: "unfinished"}
    columns = "version_num" if table == "alembic_version" else named.get(table, "COUNT(*)")
    return f"SELECT {columns} FROM {'`user`' if table == 'user' else table} ORDER BY 1"
