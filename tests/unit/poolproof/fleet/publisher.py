"""A process that takes part in a fleet by a Publisher, for tests.

python -m tests.unit.poolproof.fleet.publisher FOLDER
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from pathlib import Path

from poolproof import event_log
from poolproof.fleet import agent
from poolproof.fleet.agent import FleetAgent
from poolproof.fleet.commands import CommandError
from poolproof.fleet.registry import FleetDirectory
from poolproof.runtime.files import JsonObject

INTERVAL = 0.05


class Life:
    """Counts its beats, and does what it is asked."""

    def __init__(self, folder: Path) -> None:
        self.beats = 0
        self.is_broken = False
        self.stood: JsonObject = {}
        self.led = 0
        self.publisher = FleetAgent(
            FleetDirectory(folder),
            self.describe,
            self.obey,
            self.stand,
            interval=INTERVAL,
            leader_interval=2 * INTERVAL,
        )
        self.publisher.on_leader_tick = self.lead

    def describe(self) -> tuple[JsonObject, JsonObject]:
        self.beats += 1
        if self.is_broken:
            raise RuntimeError("it cannot be described")
        lane = {"used": 1, "idle": 0, "waiting": 0, "oldest": 0.0}
        now = {"lanes": {"main": lane}, "stood": self.stood, "led": self.led}
        return {"beats": self.beats, "by": {"one": 1}}, now

    def obey(self, order: JsonObject) -> str:
        if order["deed"] == "note":
            event_log.record("noted", order["sentence"])
        elif order["deed"] == "fork":
            child = os.fork()
            if not child:
                signal.alarm(60)
                time.sleep(60)
                os._exit(0)
            return str(child)
        elif order["deed"] == "break":
            self.is_broken = True
        elif order["deed"] == "fill the disk":
            resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
        else:
            raise CommandError("unknown.")
        return "done"

    def stand(self, orders: JsonObject) -> None:
        self.stood = orders

    def lead(self) -> None:
        self.led += 1


def main() -> None:
    """Live until SIGTERM, then say goodbye."""
    Life(Path(sys.argv[1]))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        agent.start_all("worker", 3, dict)
        print("joined", flush=True)  # noqa: T201
        time.sleep(60)
    finally:
        agent.stop_all()


if __name__ == "__main__":
    main()
