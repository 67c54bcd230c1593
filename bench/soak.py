"""Plays on the real service for minutes: `python bench/soak.py --minutes 10`.

Starts a MySQL of its own and the service with two workers, lets clients play without a pause, and exits 1 when a
request fails, or when the leak detector or the blocking guard reports something.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from poolproof.lab.reporting.latency import percentile
from webapp.lab.loadgen.storm import storm
from webapp.lab.services.database_server import new_server
from webapp.lab.services.poolproof_service import run_poolproof_service

REPORTING_LOGGERS = ("poolproof.leaks.leak_detector", "poolproof.leaks.blocking_guard")


def reports_in(log: Path) -> list[str]:
    """Return the events of the leak detector and the blocking guard in a service's log."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return [line["event"] for line in lines if line.get("logger") in REPORTING_LOGGERS]


def main() -> None:
    """Play, print, and check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = new_server("mysql", Path(folder) / "server")
        server.create_database("poolproof")
        with (
            run_poolproof_service(server.url("poolproof"), Path(folder) / "instance") as service,
            storm(service.address, options.clients) as running,
        ):
            time.sleep(options.minutes * 60)
        reports = reports_in(service.log)
        server.stop()
    seconds = sorted(outcome.seconds for outcome in running.outcomes)
    print(f"{len(seconds)} requests, {dict(running.counts())}")
    median, p99 = percentile(seconds, 0.5), percentile(seconds, 0.99)
    print(f"median {median:.4f} s, p99 {p99:.4f} s, worst {seconds[-1]:.3f} s")
    print(f"reported by the leak detector or the blocking guard: {len(reports)}")
    for sentence in reports[:10]:
        print(f"  {sentence}")
    if reports or running.failed():
        sys.exit(1)


if __name__ == "__main__":
    main()
