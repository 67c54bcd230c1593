"""`poolproof` in this process: what a command does, without a start of Python for each."""

from __future__ import annotations

import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess

from webapp.app import create_app
from webapp.cli import create_cli
from webapp.lab.factories import make_settings


def called(url: str, instance: Path, *arguments: str) -> CompletedProcess[str]:
    """Call a command as `poolproof` does for an app on this database; what it raised is in `stderr`."""
    app = create_app(make_settings(url, instance), with_routes=False)
    result = app.test_cli_runner().invoke(create_cli(lambda: app), arguments)
    raised = None if isinstance(result.exception, SystemExit) else result.exception
    error = "" if raised is None else "".join(traceback.format_exception(raised))
    return CompletedProcess(arguments, result.exit_code, result.stdout, result.stderr + error)


def called_aside(url: str, instance: Path, *arguments: str) -> CompletedProcess[str]:
    """Call a command that runs a loop of events in a thread of its own: a browser of other tests has one in this."""
    with ThreadPoolExecutor(1) as aside:
        return aside.submit(called, url, instance, *arguments).result()
