"""What a feature declares for the fast path: a route, its handler, and the responses that a handler returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

JSON_MEDIA_TYPE = "application/json"


@dataclass(frozen=True)
class RawResponse:
    """A response: its status line, its own headers, and its body."""

    status: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


ResponseCallback = Callable[[Callable[[], RawResponse], BaseException | None], None]
"""Gets a function that makes the response, or the error."""


@dataclass(frozen=True)
class PendingResponse:
    """A response that depends on an operation in progress: awaited now, or passed on from another thread later."""

    result: Callable[[], RawResponse]
    add_done_callback: Callable[[ResponseCallback], None]
    in_thread: bool = False
    """Making the response takes long or needs a connection, so the thread that calls back must not make it."""


@dataclass(frozen=True)
class FastRoute:
    """A route of the fast path. The handler gets the environ and the segments that `path` has in angle brackets.

    A handler returns None for a request that Flask has to answer. What it raises is raised again in Flask.
    """

    method: str
    path: str
    handler: Callable[..., RawResponse | PendingResponse | None]
    literals: tuple[tuple[int, str], ...] = field(init=False)
    """Position and text of the path's fixed segments."""
    parameters: tuple[int, ...] = field(init=False)
    """Positions of the segments in angle brackets."""

    def __post_init__(self) -> None:
        """Split the path into its segments once."""
        segments = list(enumerate(self.path.split("/")))
        literals = tuple((position, text) for position, text in segments if not text.startswith("<"))
        object.__setattr__(self, "literals", literals)
        object.__setattr__(self, "parameters", tuple(position for position, text in segments if text.startswith("<")))

    def match(self, segments: list[str]) -> list[str] | None:
        """Return the parameters in the segments of a path with as many segments; None where it is another path."""
        if all(segments[position] == text for position, text in self.literals):
            return [segments[position] for position in self.parameters]
        return None
