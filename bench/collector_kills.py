"""A collection killed at each of its calls in turn, in every combination of what nobody knows of Open Trivia DB.

    PYTHONPATH=. .venv/test/bin/python bench/collector_kills.py [--database mysql] [--first 1] [--last 96]

Prints a line for each combination; exits 1 when a record was lost or came twice.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from itertools import product
from pathlib import Path

from webapp import create_app
from webapp.lab.factories import make_settings
from webapp.lab.loadgen.collection_kills import LostItemsError, kill_at_every_call
from webapp.lab.services.database_server import new_server
from webapp.lab.services.fake_opentdb import ContractOptions
from webapp.schema import upgrade


def main() -> None:
    """Kill, compare, print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--database", choices=["mysql", "mariadb", "sqlite"], default="sqlite")
    arguments.add_argument("--first", type=int, default=1, help="combination to begin with")
    arguments.add_argument("--last", type=int, default=96)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, server = Path(name), None
        url = f"sqlite:///{folder / 'kills.sqlite'}"
        if given.database != "sqlite":
            server = new_server(given.database, folder / "server")
            server.create_database("kills")
            url = server.url("kills")
        app = create_app(make_settings(url, folder))
        logging.disable(logging.WARNING)
        upgrade(app)
        work, kills = app.extensions["pooling"].work, 0
        combinations = [
            ContractOptions(
                short_tail=tail, limited_status=status, limit_all_calls=limits, count_refused_calls=refused, count_error=off,
                empty_categories=lists,
            )
            for tail, status, limits, refused, off, lists in product(
                (1, 4), (429, 200), (True, False), (True, False), (0, 3, -3), (0, 2)
            )
        ]  # fmt: skip
        try:
            chosen = combinations[given.first - 1 : given.last]
            for number, switches in enumerate(chosen, start=given.first):
                kills += kill_at_every_call(work, switches)
                print(f"{number} of {len(combinations)}: {kills} kills so far, nothing lost, nothing twice", flush=True)
        except LostItemsError as error:
            print(f"MISSED: {error}")
            sys.exit(1)
        finally:
            if server is not None:
                server.stop()


if __name__ == "__main__":
    main()
