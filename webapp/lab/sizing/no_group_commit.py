"""The service without group commit, for the lab's own Gunicorn only: what does it bring?

Each write is a transaction of its own, as most services do it, made by as many threads as there are for requests.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


class NoGroupCommit:
    """Takes the place of a worker's group commit."""

    def __init__(self, write_one: Callable[[Any], Any], threads: int) -> None:
        """Write every entry by `write_one`."""
        self._write_one = write_one
        self._threads = ThreadPoolExecutor(threads, "alone")

    def submit(self, value: Any) -> Any:
        """Write, and return when it is committed."""
        return self._write_one(value)

    def submit_async(self, value: Any, callback: Callable[[Any, BaseException | None], None]) -> None:
        """Write in another thread, and say there how it ended."""

        def write() -> None:
            try:
                result = self._write_one(value)
            except Exception as error:  # noqa: BLE001 - whatever it was is told
                callback(None, error)
            else:
                callback(result, None)

        self._threads.submit(write)

    def stop(self) -> None:
        """Take no more."""
        self._threads.shutdown(wait=False)


def disable_group_commit(app: Any) -> None:
    """Let the app's writes commit one by one."""
    writer, threads = app.extensions["attempt_service"].writer, app.config["SETTINGS"].poolproof.threads
    writer.group_commit = NoGroupCommit(writer.group_commit._write_one, threads)  # noqa: SLF001 - only the lab takes it apart


WSGI = """from webapp.lab.sizing.no_group_commit import disable_group_commit
from wsgi import app

disable_group_commit(app)
"""
"""What Gunicorn loads in place of wsgi.py."""
