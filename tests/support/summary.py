"""What a run reports at its end: on which databases tests passed, the slowest tests, how many programs were started.

With pytest-xdist the workers report tests one by one, and hand over what only they know when they end.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Generator
from typing import Any

import pytest

FLAVOURS = ("mysql", "mariadb", "sqlite")
SLOWEST = 10


class Summary:
    """Counts while tests run, and writes the summary."""

    def __init__(self, required: str) -> None:
        self._required = required
        self.passed: Counter[str] = Counter()
        self.seconds: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
        self.starts: Counter[str] = Counter()
        self.versions: dict[str, str] = {}
        self.is_missing = False

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, Any, Any]:
        report = yield
        chosen = item.callspec.params.get("database") if hasattr(item, "callspec") else None
        # By the parameter, not by keywords: those contain the names of folders, and one is called mysql.
        report.databases = [chosen] if chosen in FLAVOURS else []
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid][report.when or ""] += report.duration
        if report.when == "call" and report.passed:
            self.passed.update(getattr(report, "databases", ()))

    def count_starts(self) -> None:
        """Count the programs that this process has started, if it has loaded the module that starts them."""
        if processes := sys.modules.get("webapp.lab.services.processes"):
            self.starts.update(processes.start_counts)

    def to_hand_over(self) -> dict[str, Any]:
        """Return what only this process knows, as plain values."""
        return {"starts": dict(self.starts), "versions": self.versions}

    def add(self, handed_over: dict[str, Any]) -> None:
        """Add what a worker has handed over."""
        self.starts.update(handed_over["starts"])
        self.versions.update(handed_over["versions"])

    def judge(self, session: pytest.Session) -> None:
        """Let the run fail when no test ran on the database that was required."""
        if self._required and not self.passed[self._required] and session.exitstatus == pytest.ExitCode.OK:
            self.is_missing = True
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if any(self.seconds.values()):
            terminalreporter.section("slowest tests")
        slowest = sorted(self.seconds, key=lambda test: -sum(self.seconds[test].values()))[:SLOWEST]
        for test in slowest:
            parts = ", ".join(f"{when} {seconds:.1f}" for when, seconds in self.seconds[test].items())
            terminalreporter.write_line(f"{sum(self.seconds[test].values()):6.1f} s  {test}  ({parts})")
        for kind, count in sorted(self.starts.items()):
            terminalreporter.write_line(f"starts of a {kind}: {count}")
        for database, count in sorted(self.passed.items()):
            version = self.versions.get(database)
            name = f"real {database} {version}" if version else database
            terminalreporter.write_line(f"passed on {name}: {count} tests")
        if self.is_missing:
            terminalreporter.write_line(f"No test ran on {self._required}: the run fails.", red=True)
