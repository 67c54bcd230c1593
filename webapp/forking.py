"""Gunicorn's master and its children: libraries are imported once, before the fork; our own modules only after it.

A worker that imports everything anew takes several times as long until its first response. The master imports the
libraries, which change only with the installation, and every child inherits them. It keeps none of our modules: they
would survive a reload (HUP), whose purpose is to load new code.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module

LIBRARIES = (
    "defusedxml.sax",
    "flask_login",
    "flask_swagger_ui",
    "flask_smorest",
    "flask_sqlalchemy",
    "flask_wtf.file",
    "pydantic_settings",
    "pymysql",
    "segno.writers",
    "sqlalchemy.dialects.mysql",
    "sqlalchemy.dialects.sqlite",
    "sqlalchemy.ext.compiler",
    "structlog",
    "werkzeug.middleware.proxy_fix",
    "xlsxwriter",
)
"""Together with their own imports, all library modules that a worker needs (a test checks that)."""


def preload_libraries() -> None:
    """Import the libraries that every worker needs. None of them starts a thread or opens a file."""
    for name in LIBRARIES:
        import_module(name)


def run_in_child(fn: Callable[[], None]) -> int:
    """Run `fn` in a forked child and return its exit status: 0, or 1 when it has raised.

    The child's imports and open files end with it. An error is printed, in one sentence where there is one.
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
    except BaseException as error:  # noqa: BLE001 - the child ends here in any case
        _print_error(error)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # Not sys.exit, which would run the parent's exit handlers in the child.
        os._exit(status)


def _print_error(error: BaseException) -> None:
    from webapp.cli_errors import print_traceback, report_error

    if not (isinstance(error, Exception) and report_error(error)):
        print_traceback(error)
