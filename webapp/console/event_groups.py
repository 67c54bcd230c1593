"""What happened lately, told shortly: things of one kind at one place are one thing. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from poolproof.runtime.files import JsonObject

MAX_GROUPS = 25


@dataclass(frozen=True)
class EventGroup:
    """Events alike; times are of the wall clock, in seconds. `sentence` is the latest one's."""

    kind: str
    place: str
    count: int
    first_at: float
    last_at: float
    process: str
    sentence: str


def group_events(events: Sequence[JsonObject]) -> list[EventGroup]:
    """Return events, the latest first, with those alike as one; those without a place are alike if their words are."""
    found: dict[tuple[str, str], EventGroup] = {}
    for event in events:
        key = str(event["kind"]), str(event["place"] or event["sentence"])
        before = found.get(key)
        found[key] = EventGroup(
            key[0],
            str(event["place"]),
            before.count + 1 if before else 1,
            event["at"],
            before.last_at if before else event["at"],
            before.process if before else str(event.get("by", "")),
            before.sentence if before else str(event["sentence"]),
        )
    return sorted(found.values(), key=lambda one: -one.last_at)[:MAX_GROUPS]
