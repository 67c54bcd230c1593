"""The service without group commit, to measure what group commit gains; only the lab's own Gunicorn loads it.

Each write is a transaction of its own, as in most services, and as many threads write as there are request threads.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


class NoGroupCommit:
    """Replaces a worker's group commit."""

    def __init__(self, write_one: Callable[[Any], Any], threads: int) -> None:
        """Write every entry with `write_one`, in so many threads."""
        self._write_one = write_one
        self._threads = ThreadPoolExecutor(threads, "ungrouped")

    def submit(self, value: Any) -> Any:
        """Write an entry, and return when it is committed."""
        return self._write_one(value)

    def submit_async(self, value: Any, callback: Callable[[Any, BaseException | None], None]) -> None:
        """Write an entry in another thread, which then calls `callback` with the result or the error."""

        def write() -> None:
            try:
                result = self._write_one(value)
            except Exception as error:  # noqa: BLE001 - what a full pool says is what is asked
                callback(None, error)
            else:
                callback(result, None)

        self._threads.submit(write)

    def stop(self) -> None:
        """Accept no more entries."""
        self._threads.shutdown(wait=False)


def disable_group_commit(app: Any) -> None:
    """Make the app commit each write on its own."""
    writer, threads = app.extensions["attempt_service"].writer, app.config["SETTINGS"].poolproof.threads
    # The group commit's own connection is one: these writes share those of the requests.
    writer._work = app.extensions["pooling"].work  # noqa: SLF001 - only here is it another
    writer.group_commit = NoGroupCommit(writer.group_commit.write_one, threads)


WSGI = """from webapp.lab.sizing.no_group_commit import disable_group_commit
from wsgi import app

disable_group_commit(app)
"""
"""What Gunicorn loads in place of wsgi.py."""
