"""Holds drills one after the other; what was measured is kept, whatever happens."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from sqlalchemy.exc import SQLAlchemyError

from webapp.lab.drills.framework import Drill, DrillNotApplicableError, DrillRun, DrillTarget
from webapp.lab.drills.paced_load import UnitError
from webapp.lab.drills.recovery import Check, LoadHistory
from webapp.lab.services.service_process import NotServingError

Verdict = Literal["passed", "failed", "left out", "cut short"]


@dataclass(frozen=True)
class DrillResult:
    """What came of one drill; `why` it was left out, or could not be held to its end."""

    drill: Drill
    verdict: Verdict
    checks: tuple[Check, ...] = ()
    history: LoadHistory | None = None
    reason: str = ""


def run_drills(
    target: DrillTarget, drills: Sequence[Drill], *, is_protected: bool, on_progress: Callable[[Drill], None]
) -> list[DrillResult]:
    """Hold these drills; `tell` is told before each. Ctrl-C ends it with what there is."""
    results: list[DrillResult] = []
    with _logging_disabled():
        for drill in drills:
            on_progress(drill)
            results.append(_run_drill(target, drill, is_protected=is_protected))
            if results[-1].verdict == "cut short":
                break
    return results


def _run_drill(target: DrillTarget, drill: Drill, *, is_protected: bool) -> DrillResult:
    stage = DrillRun(target, is_protected)
    try:
        if drill.needs_own_server and not target.is_disposable:
            return DrillResult(drill, "left out", reason="it needs a server that the lab has started")
        target.create_tables()
        checks = tuple(drill.run(stage))
    except DrillNotApplicableError as error:
        return DrillResult(drill, "left out", reason=str(error))
    except KeyboardInterrupt:
        return DrillResult(drill, "cut short", history=stage.history())
    except (SQLAlchemyError, NotServingError, UnitError, OSError) as error:
        why = f"it could not be held to its end: {str(error).splitlines()[0]}"
        return DrillResult(drill, "failed", history=stage.history(), reason=why)
    holds = bool(checks) and all(check.passed for check in checks)
    return DrillResult(drill, "passed" if holds else "failed", checks, stage.history())


@contextmanager
def _logging_disabled() -> Iterator[None]:
    """Keep warnings about what the drills do on purpose from the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
