"""Where a function was called from: cheap to capture, formatted only when it is shown."""

from __future__ import annotations

import contextlib
import os
import sys
import sysconfig
import traceback
from itertools import islice
from pathlib import Path
from types import CodeType, FrameType

MAX_FRAMES = 8
"""Frames that are kept, from the one that called into the database layer outwards."""
MAX_LINES = 12

_SITE_PACKAGES = sysconfig.get_paths()["purelib"] + os.sep
_INTERNAL_PREFIXES = (
    f"{_SITE_PACKAGES}sqlalchemy{os.sep}",
    f"{_SITE_PACKAGES}flask_sqlalchemy{os.sep}",
    contextlib.__file__,
    str(Path(__file__).parents[1]) + os.sep,
)

Stack = tuple[tuple[CodeType, int], ...]
"""The innermost frame first: its code, and the last instruction executed in it."""


def capture() -> Stack:
    """Return the stack of this thread, without the frames of the database layer at its inner end.

    Captured as code objects, which are formatted when they are shown, it costs 2 µs; as text it would cost 100.
    """
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the documented way
    while frame is not None and frame.f_code.co_filename.startswith(_INTERNAL_PREFIXES):
        frame = frame.f_back
    frames: list[tuple[CodeType, int]] = []
    while frame is not None and len(frames) < MAX_FRAMES:
        frames.append((frame.f_code, frame.f_lasti))
        frame = frame.f_back
    return tuple(frames)


def format_site(stack: Stack) -> str:
    """Return the line that called into the database layer, e.g. "webapp/quizzes/pages.py:33 in quiz"."""
    if not stack:
        return "an unknown place"
    code, instruction = stack[0]
    return f"{_short_path(code.co_filename)}:{_line_number(code, instruction)} in {code.co_name}"


def format_stack(stack: Stack) -> list[str]:
    """Return every frame of a stack, the innermost first, in the format of `format_site`."""
    return [format_site((frame,)) for frame in stack]


def current_site() -> str:
    """Return the line outside of this layer that is being executed by this thread."""
    return format_site(capture())


def format_thread(thread_id: int | None) -> str:
    """Return what the thread with this number executes just now, innermost line last; "" when it has ended."""
    frame = sys._current_frames().get(thread_id or 0)  # noqa: SLF001 - the documented way
    if frame is None:
        return ""
    # From the inner end: a deep stack is not walked to its root.
    frames = traceback.StackSummary.extract(islice(traceback.walk_stack(frame), MAX_LINES), lookup_lines=False)
    lines = [f"{_short_path(line.filename)}:{line.lineno} in {line.name}" for line in reversed(frames)]
    return " > ".join(lines)


def _line_number(code: CodeType, instruction: int) -> int:
    for start, end, line in code.co_lines():
        if start <= instruction < end and line is not None:
            return line
    return code.co_firstlineno


def _short_path(path: str) -> str:
    return "/".join(Path(path).parts[-3:])
