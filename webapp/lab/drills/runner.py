"""Runs drills one after the other; an error or Ctrl-C does not lose what was measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy.exc import SQLAlchemyError

from poolproof.lab.reporting.report_output import logging_disabled
from webapp.lab.drills.framework import Drill, DrillNotApplicableError, DrillRun, DrillTarget
from webapp.lab.drills.paced_load import UnitError
from webapp.lab.drills.recovery import Check, LoadHistory
from webapp.lab.services.service_process import NotServingError

Verdict = Literal["passed", "failed", "skipped", "interrupted"]


@dataclass(frozen=True)
class DrillResult:
    """The outcome of one drill; `reason` says why it was skipped or could not be completed."""

    drill: Drill
    verdict: Verdict
    checks: tuple[Check, ...] = ()
    history: LoadHistory | None = None
    reason: str = ""


def run_drills(
    target: DrillTarget, drills: Sequence[Drill], *, is_protected: bool, on_progress: Callable[[Drill], None]
) -> list[DrillResult]:
    """Run these drills; `on_progress` is called before each. On Ctrl-C return the results until then."""
    results: list[DrillResult] = []
    with logging_disabled():
        for drill in drills:
            on_progress(drill)
            results.append(_run_drill(target, drill, is_protected=is_protected))
            if results[-1].verdict == "interrupted":
                break
    return results


def _run_drill(target: DrillTarget, drill: Drill, *, is_protected: bool) -> DrillResult:
    run = DrillRun(target, is_protected)
    try:
        if drill.needs_own_server and not target.is_disposable:
            return DrillResult(drill, "skipped", reason="it needs a server that the lab has started")
        target.create_tables()
        checks = tuple(drill.run(run))
    except DrillNotApplicableError as error:
        return DrillResult(drill, "skipped", reason=str(error))
    except KeyboardInterrupt:
        return DrillResult(drill, "interrupted", history=run.history())
    except (SQLAlchemyError, NotServingError, UnitError, OSError) as error:
        reason = f"it could not be completed: {str(error).splitlines()[0]}"
        return DrillResult(drill, "failed", history=run.history(), reason=reason)
    passed = bool(checks) and all(check.passed for check in checks)
    return DrillResult(drill, "passed" if passed else "failed", checks, run.history())
