"""A process that takes part in a fleet by a FleetAgent, for tests.

python -m tests.unit.poolproof.fleet.agent_process FOLDER
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


class AgentProcess:
    """Counts its heartbeats, and executes commands."""

    def __init__(self, folder: Path) -> None:
        self.beats = 0
        self.is_failing = False
        self.overrides: JsonObject = {}
        self.leader_ticks = 0
        self.agent = FleetAgent(
            FleetDirectory(folder),
            self.describe,
            self.execute,
            self.apply_overrides,
            interval=INTERVAL,
            leader_interval=2 * INTERVAL,
        )
        self.agent.on_leader_tick = self.on_leader_tick

    def describe(self) -> tuple[JsonObject, JsonObject]:
        self.beats += 1
        if self.is_failing:
            raise RuntimeError("it cannot be described")
        lane = {"used": 1, "idle": 0, "waiting": 0, "oldest": 0.0}
        now = {"lanes": {"main": lane}, "overrides": self.overrides, "leader_ticks": self.leader_ticks}
        return {"beats": self.beats, "by": {"one": 1}}, now

    def execute(self, command: JsonObject) -> str:
        if command["action"] == "note":
            event_log.record("noted", command["sentence"])
        elif command["action"] == "fork":
            child = os.fork()
            if not child:
                signal.alarm(60)
                time.sleep(60)
                os._exit(0)
            return str(child)
        elif command["action"] == "break":
            self.is_failing = True
        elif command["action"] == "fill the disk":
            resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
        else:
            raise CommandError("unknown.")
        return "done"

    def apply_overrides(self, overrides: JsonObject) -> None:
        self.overrides = overrides

    def on_leader_tick(self) -> None:
        self.leader_ticks += 1


def main() -> None:
    """Run until SIGTERM, then unregister."""
    AgentProcess(Path(sys.argv[1]))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        agent.start_all("worker", 3, dict)
        print("started", flush=True)  # noqa: T201
        time.sleep(60)
    finally:
        agent.stop_all()


if __name__ == "__main__":
    main()
