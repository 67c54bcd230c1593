"""The command line that a report repeats."""

from __future__ import annotations

import shlex
import sys


def command_line(url: str | None) -> str:
    """Return the command line without a database's URL, which may contain a password."""
    words = sys.argv[1:]
    return shlex.join(["python", "-m", "poolproof", *(word.replace(url, "URL") if url else word for word in words)])
