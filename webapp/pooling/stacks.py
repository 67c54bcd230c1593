"""Where something was called from: cheap to take, formatted only when somebody looks."""

from __future__ import annotations

import contextlib
import os
import sys
import sysconfig
import traceback
from itertools import islice
from pathlib import Path
from types import CodeType, FrameType

DEPTH = 8
"""Frames that are kept, from the one that called into the database layer outwards."""
LINES_SHOWN = 12

_LIBRARIES = sysconfig.get_paths()["purelib"] + os.sep
_NOT_THE_CALLER = (
    f"{_LIBRARIES}sqlalchemy{os.sep}",
    f"{_LIBRARIES}flask_sqlalchemy{os.sep}",
    contextlib.__file__,
    str(Path(__file__).parent) + os.sep,
)

Stack = tuple[tuple[CodeType, int], ...]
"""The innermost frame first: its code, and the last instruction executed in it."""


def take() -> Stack:
    """Return the stack of this thread, without the frames of the database layer at its inner end.

    As code objects, which are formatted when somebody asks, it costs 2 µs; as text it would cost 100.
    """
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the documented way
    while frame is not None and frame.f_code.co_filename.startswith(_NOT_THE_CALLER):
        frame = frame.f_back
    frames: list[tuple[CodeType, int]] = []
    while frame is not None and len(frames) < DEPTH:
        frames.append((frame.f_code, frame.f_lasti))
        frame = frame.f_back
    return tuple(frames)


def place(stack: Stack) -> str:
    """Return the line that called into the database layer, e.g. "webapp/quizzes/pages.py:33 in quiz"."""
    if not stack:
        return "an unknown place"
    code, instruction = stack[0]
    return f"{_short(code.co_filename)}:{_line(code, instruction)} in {code.co_name}"


def lines(stack: Stack) -> list[str]:
    """Return every frame of a stack, the innermost first, as `place` writes it."""
    return [place((frame,)) for frame in stack]


def caller() -> str:
    """Return the line outside of this layer that is being executed by this thread."""
    return place(take())


def current(thread: int | None) -> str:
    """Return what the thread with this number executes just now, innermost line last; "" when it has ended."""
    frame = sys._current_frames().get(thread or 0)  # noqa: SLF001 - the documented way
    if frame is None:
        return ""
    # From the inner end: a deep stack is not walked to its root.
    walked = traceback.StackSummary.extract(islice(traceback.walk_stack(frame), LINES_SHOWN), lookup_lines=False)
    lines = [f"{_short(line.filename)}:{line.lineno} in {line.name}" for line in reversed(walked)]
    return " > ".join(lines)


def _line(code: CodeType, instruction: int) -> int:
    for start, end, line in code.co_lines():
        if start <= instruction < end and line is not None:
            return line
    return code.co_firstlineno


def _short(path: str) -> str:
    return "/".join(Path(path).parts[-3:])
