"""Where a function was called from: cheap to capture, formatted only when it is shown."""

from __future__ import annotations

import sys
import traceback
from itertools import islice
from pathlib import Path
from types import CodeType, FrameType

MAX_FRAMES = 5
"""Frames that are kept, from the one that called into the database layer outwards."""
_KEPT = range(MAX_FRAMES)
MAX_LINES = 12
MAX_CACHED_FILES = 10_000

_DATABASE_LAYER = frozenset(
    {"poolproof", "sqlalchemy", "flask_sqlalchemy", "flask_sqlalchemy_lite", "sqlmodel", "contextlib"}
)
_FRAMEWORKS = frozenset(
    {"flask", "werkzeug", "blinker", "jinja2", "click", "starlette", "fastapi", "anyio", "asyncio", "celery",
     "billiard", "gunicorn", "greenlet", "concurrent", "threading"}
)  # fmt: skip
"""What calls an application, and what an application calls on the way to its database."""
_LIBRARY_PACKAGES = _DATABASE_LAYER | _FRAMEWORKS
_TEMPLATE = "__jinja_template__"
"""A global of the code that Jinja makes of a template. Its lines are not those of the template's file."""

Stack = tuple[tuple[CodeType, int], ...]
"""The innermost frame first: its code, and the last instruction executed in it."""

_is_application: dict[str, bool] = {}
"""Whether a file is of the application, by its name; a name is looked up much faster than it is judged."""


def capture(skipped: int = 0) -> Stack:
    """Return the stack of this thread from the innermost frame of the application outwards.

    The callers of this function are not looked at where they are among the `skipped` innermost ones.

    Passed over are the frames of SQLAlchemy and of this package, those of frameworks (a signal or a view that one has
    called in between) and code that was generated: templates, `<string>`, `<frozen …>`. Where that leaves nothing, as
    in a program that is typed in or given to exec, only the database layer's own frames are passed over.

    Captured as code objects, which are formatted when they are shown, it costs 2 µs; as text it would cost 100.
    """
    innermost = sys._getframe(1 + skipped)  # noqa: SLF001 - the documented way
    frame: FrameType | None = innermost
    while frame is not None:
        name = frame.f_code.co_filename
        is_application = _is_application.get(name)
        if is_application or (is_application is None and _judge(frame, name)):
            break
        frame = frame.f_back
    else:
        frame = _outside_of_database_layer(innermost)
    frames: list[tuple[CodeType, int]] = []
    for _ in _KEPT:
        if frame is None:
            break
        frames.append((frame.f_code, frame.f_lasti))
        frame = frame.f_back
    return tuple(frames)


def _judge(frame: FrameType, name: str) -> bool:
    """Say whether a frame is of the application, and remember that for its file."""
    is_application = (
        not name.startswith("<") and _TEMPLATE not in frame.f_globals and _package(frame) not in _LIBRARY_PACKAGES
    )
    # Templates and notebooks may bring ever new names.
    if len(_is_application) < MAX_CACHED_FILES:
        _is_application[name] = is_application
    return is_application


def _outside_of_database_layer(innermost: FrameType) -> FrameType | None:
    frame: FrameType | None = innermost
    # What SQLAlchemy has generated has no name of a module.
    while frame is not None and (_package(frame) in _DATABASE_LAYER or "__name__" not in frame.f_globals):
        frame = frame.f_back
    return frame


def _package(frame: FrameType) -> str:
    # By its module's name and not by its path: a library may be installed anywhere.
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


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
