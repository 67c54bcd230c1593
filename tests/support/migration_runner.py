"""Starts on a database, each in a process of its own that is killed, or kills the server, at a given statement.

A program, whose argument is when a lease expires: it reads one order a line as JSON and answers with one line,
`{"status": …, "output": …}`. Importing the app takes longer than a start: it is done once, and each start is a fork of
this program, which has one thread.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, NamedTuple

from sqlalchemy import Engine, event

from webapp import schema, serve
from webapp.app import create_app
from webapp.forking import LIBRARIES
from webapp.lab.factories import make_settings
from webapp.migration_lease import lease, row_lease

CHANGES = re.compile(r"CREATE|DROP|ALTER|INSERT|UPDATE|DELETE|REPLACE")
RENEWAL = re.compile(r"UPDATE migration_lease SET heartbeat_at=\S+ WHERE")
"""It changes nothing that another start could see, and is sent at intervals."""
COUNTED = "statements: "
PRELOADED = (
    *LIBRARIES, "alembic.command", "argon2", "flask_migrate", "pymysql", "webapp.first_start", "webapp.database_setup",
)  # fmt: skip
"""What a start would import."""


class Kill(NamedTuple):
    """Kill `pid`, or the process itself, at the statement of this number."""

    at: int
    when: Literal["before", "after", "during"] = "before"
    pid: int | None = None
    delay: float = 0.0
    """Of a kill during a statement: seconds after it was sent."""


class KillPoint:
    """Counts the statements of a process that change something, and its commits; kills at one of them."""

    def __init__(self, kill: Kill | None) -> None:
        self.count = 0
        self._kill_at = kill
        event.listen(Engine, "before_cursor_execute", lambda *arguments: self._on_sent(arguments[2]))
        event.listen(Engine, "after_cursor_execute", lambda *arguments: self._on_done(arguments[2]))
        event.listen(Engine, "commit", lambda connection: self._on_sent("UPDATE: commit"))

    def _on_sent(self, statement: str) -> None:
        if not is_change(statement):
            return
        self.count += 1
        if self._kill_at is None or self.count != self._kill_at.at:
            return
        if self._kill_at.when == "before":
            self._end()
        elif self._kill_at.when == "during":
            threading.Timer(self._kill_at.delay, self._end).start()

    def _on_done(self, statement: str) -> None:
        kill = self._kill_at
        if is_change(statement) and kill is not None and (kill.at, kill.when) == (self.count, "after"):
            self._end()

    def _end(self) -> None:
        assert self._kill_at is not None
        os.kill(self._kill_at.pid or os.getpid(), signal.SIGKILL)


def is_change(statement: str) -> bool:
    """Say whether a statement is counted; the thread that renews the lease sends others."""
    is_main = threading.current_thread() is threading.main_thread()
    return is_main and CHANGES.match(statement.lstrip()) is not None and RENEWAL.match(statement) is None


def carry_out(action: str, url: str, instance: Path) -> None:
    settings = make_settings(url, instance)
    if action == "start":
        serve._prepare_database(settings)
    elif action == "down":
        schema.downgrade(create_app(settings, with_routes=False), "base")


def run(order: dict[str, Any]) -> dict[str, Any]:
    """Fork, carry the order out there, and return how that ended and what it printed."""
    log = Path(order["instance"]) / "output"
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        status = 1
        with log.open("w") as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        try:
            point = KillPoint(Kill(*order["kill"]) if order["kill"] else None)
            carry_out(order["action"], order["url"], Path(order["instance"]))
            sys.stdout.write(f"{COUNTED}{point.count}\n")
            status = 0
        except BaseException as error:  # noqa: BLE001 - the child ends here in any case
            sys.stdout.write(f"{type(error).__name__}: {error}\n")
        finally:
            sys.stdout.flush()
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return {"status": status, "output": log.read_text(errors="replace")}


def main() -> None:
    # A lease whose holder was killed is waited for: with one start at a time, for a moment only.
    if len(sys.argv) > 1:
        row_lease.EXPIRES_AFTER, row_lease.RENEWED_EVERY = float(sys.argv[1]), 0.05
    lease.POLL_INTERVAL = 0.02
    for name in PRELOADED:
        import_module(name)
    for line in sys.stdin:
        sys.stdout.write(f"{json.dumps(run(json.loads(line)))}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
