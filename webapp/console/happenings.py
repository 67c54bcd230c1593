"""What happened lately, told shortly: things of one kind at one place are one thing. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from webapp.pooling.fleet import Tree

MOST = 25


@dataclass(frozen=True)
class Happening:
    """Events alike; times are of the wall clock, in seconds. `sentence` is the latest one's."""

    kind: str
    place: str
    count: int
    first_at: float
    last_at: float
    by: str
    sentence: str


def told(events: Sequence[Tree]) -> list[Happening]:
    """Return events, the latest first, with those alike as one; those without a place are alike if their words are."""
    found: dict[tuple[str, str], Happening] = {}
    for event in events:
        key = str(event["kind"]), str(event["place"] or event["sentence"])
        before = found.get(key)
        found[key] = Happening(
            key[0],
            str(event["place"]),
            before.count + 1 if before else 1,
            event["at"],
            before.last_at if before else event["at"],
            before.by if before else str(event.get("by", "")),
            before.sentence if before else str(event["sentence"]),
        )
    return sorted(found.values(), key=lambda one: -one.last_at)[:MOST]
