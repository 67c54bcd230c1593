"""Recent events in groups: events of one kind at one place are one group. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from poolproof.runtime.files import JsonObject

MAX_GROUPS = 25


@dataclass(frozen=True)
class EventGroup:
    """Events of one kind at one place; times are of the wall clock, in seconds. `sentence` is of the latest one."""

    kind: str
    place: str
    count: int
    last_at: float
    process: str
    sentence: str


def group_events(events: Sequence[JsonObject]) -> list[EventGroup]:
    """Return the groups of events, the latest first; events without a place are grouped by their sentence.

    `events` begin with the latest.
    """
    groups: dict[tuple[str, str], EventGroup] = {}
    for event in events:
        key = str(event["kind"]), str(event["place"] or event["sentence"])
        group = groups.get(key)
        groups[key] = EventGroup(
            key[0],
            str(event["place"]),
            group.count + 1 if group else 1,
            group.last_at if group else event["at"],
            group.process if group else str(event.get("by", "")),
            group.sentence if group else str(event["sentence"]),
        )
    return sorted(groups.values(), key=lambda group: -group.last_at)[:MAX_GROUPS]
