"""Print the branch coverage, and fail where a part is below its bound.

    python3 .ci/coverage_bounds.py COVERAGE_PROGRAM

Reads the data file that `coverage combine` has left in this folder.
"""

from __future__ import annotations

import json
import subprocess
import sys
from fnmatch import fnmatch
from typing import Any

BOUNDS = {
    "everything": (("*",), 89.0),
    "pool": (
        (
            "webapp/pooling/src/poolproof/core/*.py",
            "webapp/pooling/src/poolproof/health/liveness.py",
            "webapp/pooling/src/poolproof/transactions/unit_of_work.py",
        ),
        95.0,
    ),
    "writer": (
        (
            "webapp/pooling/src/poolproof/transactions/commit_queue.py",
            "webapp/pooling/src/poolproof/transactions/group_commit.py",
            "webapp/attempts/answer_batch.py",
            "webapp/attempts/answer_writer.py",
            "webapp/attempts/batch_writes.py",
            "webapp/attempts/entry_batch.py",
            "webapp/attempts/lock_probe.py",
            "webapp/attempts/refusals.py",
        ),
        95.0,
    ),
    "parsers": (("webapp/bank/formats/*.py",), 95.0),
}
"""Parts, the files of each, and the percentage of statements and branches that tests must reach."""


def percentage(files: dict[str, Any], patterns: tuple[str, ...]) -> float:
    """Return the share of statements and branches that were run, of all files that match one of the patterns."""
    summaries = [file["summary"] for name, file in files.items() if any(fnmatch(name, pattern) for pattern in patterns)]
    run: int = sum(summary["covered_lines"] + summary["covered_branches"] for summary in summaries)
    there: int = sum(summary["num_statements"] + summary["num_branches"] for summary in summaries)
    return 100.0 * run / there


def main() -> None:
    """Compare each part with its bound."""
    program = sys.argv[1]
    subprocess.run([program, "report", "--sort=cover", "--skip-covered"], check=True)
    report = subprocess.run([program, "json", "--quiet", "-o", "-"], check=True, stdout=subprocess.PIPE).stdout
    files = json.loads(report)["files"]
    missed = False
    for part, (patterns, bound) in BOUNDS.items():
        found = percentage(files, patterns)
        missed |= found < bound
        print(f"{'MISSED' if found < bound else 'ok':<7} {part:<11} {found:.1f} %   (bound ≥ {bound:g} %)")
    sys.exit(missed)


if __name__ == "__main__":
    main()
