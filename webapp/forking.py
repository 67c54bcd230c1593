"""Gunicorn's master and its children: libraries are loaded once, before the fork; our own modules only after it.

A worker that loads everything anew takes several times as long to answer its first request. The master imports the
libraries, which change when the installation does, and every child inherits them. It imports none of our modules for
good: what it has imported would survive a reload (HUP), which is there to load new code.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from importlib import import_module

LIBRARIES = (
    "defusedxml.sax",
    "flask_login",
    "flask_openapi3_swagger",
    "flask_smorest",
    "flask_sqlalchemy",
    "flask_wtf.file",
    "pydantic_settings",
    "pymysql",
    "sqlalchemy.dialects.mysql",
    "sqlalchemy.dialects.sqlite",
    "sqlalchemy.ext.compiler",
    "structlog",
    "uuid6",
    "werkzeug.middleware.proxy_fix",
)
"""With what they import themselves, all modules of libraries that a worker needs (a test holds that)."""


def preload_libraries() -> None:
    """Import what every worker needs. Nothing of it starts a thread or opens a file."""
    for name in LIBRARIES:
        import_module(name)


def run_in_child(fn: Callable[[], None]) -> int:
    """Run `work` in a forked child and return its exit status: 0, or 1 when it has raised.

    What the child imports and opens ends with it. What went wrong is printed, as one sentence where there is one.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = 1
    try:
        fn()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException as error:  # noqa: BLE001 - the child ends here, whatever it was
        _print_error(error)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # Not sys.exit: the parent's handlers for the end of a process are not for its children.
        os._exit(status)


def _print_error(error: BaseException) -> None:
    from webapp.cli_errors import describe_error

    sentence = describe_error(error) if isinstance(error, Exception) else None
    if sentence is None:
        traceback.print_exception(error)
    else:
        print(f"Error: {sentence}", file=sys.stderr)  # noqa: T201 - standard error is where a command says it
