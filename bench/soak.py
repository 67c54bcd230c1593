"""Ordinary play on the real service, for minutes: `python bench/soak.py --minutes 10`.

Starts a MySQL of its own and the service with two workers, lets clients play without a pause,
and exits 1 when a request fails, when the watch names a hold, or when the guard counts one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from webapp.lab.loadgen.storm import storm
from webapp.lab.services.database_server import new_server
from webapp.lab.services.poolproof_service import run_poolproof_service

WATCHING = ("poolproof.leaks.leak_detector", "poolproof.leaks.blocking_guard")


def named(log: Path) -> list[str]:
    """Return what the watch and the guard have said in a service's log."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return [line["event"] for line in lines if line.get("logger") in WATCHING]


def main() -> None:
    """Play, and judge."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, default=10.0)
    arguments.add_argument("--clients", type=int, default=8)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = new_server("mysql", Path(folder) / "server")
        server.create_database("poolproof")
        with (
            run_poolproof_service(server.url("poolproof"), Path(folder) / "instance") as service,
            storm(service.address, given.clients) as running,
        ):
            time.sleep(given.minutes * 60)
        said = named(service.log)
        server.stop()
    seconds = sorted(one.seconds for one in running.outcomes)
    print(f"{len(seconds)} requests, {dict(running.counts())}")
    p99 = seconds[int(len(seconds) * 0.99)]
    print(f"median {statistics.median(seconds):.4f} s, p99 {p99:.4f} s, worst {seconds[-1]:.3f} s")
    print(f"named by the watch or the guard: {len(said)}")
    for sentence in said[:10]:
        print(f"  {sentence}")
    if said or running.failed():
        sys.exit(1)


if __name__ == "__main__":
    main()
