"""Holds drills one after the other; what was measured is kept, whatever happens."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from sqlalchemy.exc import SQLAlchemyError

from webapp.lab.drill import CannotBeHeldError, Drill, Ground, Stage
from webapp.lab.recovery import Check, Course
from webapp.lab.services.service_process import NotServingError
from webapp.lab.steady import UnitError

Verdict = Literal["passed", "failed", "left out", "cut short"]


@dataclass(frozen=True)
class Result:
    """What came of one drill; `why` it was left out, or could not be held to its end."""

    drill: Drill
    verdict: Verdict
    checks: tuple[Check, ...] = ()
    course: Course | None = None
    why: str = ""


def rehearse(
    ground: Ground, drills: Sequence[Drill], *, is_protected: bool, tell: Callable[[Drill], None]
) -> list[Result]:
    """Hold these drills; `tell` is told before each. Ctrl-C ends it with what there is."""
    results: list[Result] = []
    with _quiet():
        for drill in drills:
            tell(drill)
            results.append(_hold(ground, drill, is_protected=is_protected))
            if results[-1].verdict == "cut short":
                break
    return results


def _hold(ground: Ground, drill: Drill, *, is_protected: bool) -> Result:
    stage = Stage(ground, is_protected)
    try:
        if drill.needs_own_server and not ground.is_own:
            return Result(drill, "left out", why="it needs a server that the lab has started")
        ground.make_ready()
        checks = tuple(drill.act(stage))
    except CannotBeHeldError as error:
        return Result(drill, "left out", why=str(error))
    except KeyboardInterrupt:
        return Result(drill, "cut short", course=stage.course())
    except (SQLAlchemyError, NotServingError, UnitError, OSError) as error:
        why = f"it could not be held to its end: {str(error).splitlines()[0]}"
        return Result(drill, "failed", course=stage.course(), why=why)
    holds = bool(checks) and all(check.holds for check in checks)
    return Result(drill, "passed" if holds else "failed", checks, stage.course())


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep warnings about what the drills do on purpose from the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
