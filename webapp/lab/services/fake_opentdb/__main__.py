"""Serves the stand-in from the command line."""

from __future__ import annotations

import argparse
import time
from contextlib import suppress

from webapp.lab.services.fake_opentdb import ContractOptions, FakeOpenTdb, make_questions


def main() -> None:
    """Serve until interrupted, and print each call."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--questions", type=int, default=5250)
    parser.add_argument("--spacing", type=float, default=5.0, help="seconds between two calls")
    options = parser.parse_args()
    switches = ContractOptions(spacing=options.spacing)
    with FakeOpenTdb(make_questions(options.questions), switches, port=options.port) as server:
        print(server.address, flush=True)  # noqa: T201
        printed = 0
        with suppress(KeyboardInterrupt):
            while True:
                time.sleep(0.2)
                for call in server.calls[printed:]:
                    print(f"{call.arrived_at:.3f} {call.path} {call.query} {call.status} {call.code}", flush=True)  # noqa: T201
                    printed += 1


if __name__ == "__main__":
    main()
