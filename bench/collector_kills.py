"""Kill a collection at each of its calls in turn, for every combination of Open Trivia DB's undocumented behaviour.

    PYTHONPATH=. .venv/test/bin/python bench/collector_kills.py [--database mysql] [--first 1] [--last 96]

Prints a line for each combination; exits 1 when a record was lost or stored twice.
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
    """Kill the collections, compare their results, print a line for each combination."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["mysql", "mariadb", "sqlite"], default="sqlite", help="The database.")
    parser.add_argument("--first", type=int, default=1, help="The first combination.")
    parser.add_argument("--last", type=int, default=96, help="The last combination.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, server = Path(name), None
        url = f"sqlite:///{folder / 'kills.sqlite'}"
        if options.database != "sqlite":
            server = new_server(options.database, folder / "server")
            server.create_database("kills")
            url = server.url("kills")
        app = create_app(make_settings(url, folder))
        logging.disable(logging.WARNING)
        upgrade(app)
        work, kills = app.extensions["pooling"].work, 0
        combinations = [
            ContractOptions(
                short_tail=tail, limited_status=status, limit_all_calls=limits_all, count_refused_calls=counts_refused,
                count_error=error, empty_categories=empty,
            )
            for tail, status, limits_all, counts_refused, error, empty in product(
                (1, 4), (429, 200), (True, False), (True, False), (0, 3, -3), (0, 2)
            )
        ]  # fmt: skip
        try:
            chosen = combinations[options.first - 1 : options.last]
            for number, contract in enumerate(chosen, start=options.first):
                kills += kill_at_every_call(work, contract)
                print(f"{number} of {len(combinations)}: {kills} kills so far, nothing lost, nothing twice", flush=True)
        except LostItemsError as error:
            print(f"MISSED: {error}")
            sys.exit(1)
        finally:
            if server is not None:
                server.stop()


if __name__ == "__main__":
    main()
