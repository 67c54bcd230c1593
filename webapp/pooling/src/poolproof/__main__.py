"""`python -m poolproof`, and the console script `poolproof-app`: commands for an application of its own."""

from __future__ import annotations

import sys

try:
    from poolproof.lab.commands import program
except ModuleNotFoundError as missing:
    if missing.name != "click":
        raise
    HAS_COMMANDS = False
else:
    HAS_COMMANDS = True


def main() -> None:
    """Run a command, or say what is missing."""
    if not HAS_COMMANDS:
        sys.exit("python -m poolproof needs click: pip install poolproof[lab]")
    program(prog_name="python -m poolproof")


if __name__ == "__main__":
    main()
