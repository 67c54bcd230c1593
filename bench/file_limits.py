"""Commands with other limits of open files, as a shell or a service manager gives them."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence

SERVE = (sys.executable, "-m", "webapp", "serve")


def limited(command: Sequence[str], soft: int | None = None, hard: int | None = None) -> list[str]:
    """Return the command with a soft or a hard limit of open files; a hard limit is the soft one too."""
    limits = [f"ulimit -S -n {soft}"] if soft is not None else []
    limits += [f"ulimit -n {hard}"] if hard is not None else []
    return ["sh", "-c", " && ".join([*limits, 'exec "$@"']), "sh", *command]


def add_options(parser: ArgumentParser) -> None:
    """Add options for the service's limits."""
    parser.add_argument("--soft-files", type=int, help="soft limit of the service's open files (ulimit -S -n)")
    parser.add_argument("--hard-files", type=int, help="hard limit of the service's open files (ulimit -n)")
