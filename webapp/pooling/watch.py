"""Finds connections that are held wrongly, names the kind, and says what to do; each once."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from webapp.pooling import events, stacks
from webapp.pooling.holds import Hold, Holds

log = logging.getLogger(__name__)

REMEMBERED = 200
"""Events, and places whose fault has been logged."""


class Kind(StrEnum):
    """What is wrong with a hold."""

    LEAKED = "leaked"
    ORPHANED = "orphaned"
    IDLE_HELD = "idle-held"
    LONG_STATEMENT = "long statement"
    NESTED = "nested"


REMEDIES = {
    Kind.LEAKED: "It came back by garbage collection only. Use read() or transaction() as a with block, "
    "or close the connection in a finally.",
    Kind.ORPHANED: "Whoever borrowed it has ended and did not give it back; it was taken back. Use read() or "
    "transaction() as a with block, and do not stream from inside one.",
    Kind.IDLE_HELD: "No statement runs. Give the connection back before rendering, sleeping or calling out.",
    Kind.LONG_STATEMENT: "EXPLAIN the statement: it may lack an index, wait for a lock, or read too much at once.",
    Kind.NESTED: "The borrower holds another connection already. Pass that one on: threads that each wait for "
    "their second connection wait for each other.",
}


@dataclass(frozen=True)
class Event:
    """A hold that was named."""

    at: datetime
    kind: Kind
    lane: str
    place: str
    sentence: str
    now_at: str
    """What the holder was executing when it was named; "" when that is over, or is the borrowing itself."""


class Watch:
    """Looks at one engine's holds."""

    def __init__(self, holds: Holds, after: float, nesting: int) -> None:
        """Name a hold that is idle or runs one statement for `after` seconds, and more than `nesting` at once."""
        self.holds = holds
        self.counts: Counter[Kind] = Counter()
        self.events: deque[Event] = deque(maxlen=REMEMBERED)
        self._after = after
        self._nesting = nesting
        self._logged: set[tuple[Kind, str]] = set()
        self._leaked: deque[Hold] = deque()
        holds.on_borrow = self._look_for_nesting
        # In the middle of a garbage collection nothing is logged: that takes locks.
        holds.on_leak = self._leaked.append
        holds.on_orphan = lambda hold: self.name(hold, Kind.ORPHANED)

    def look(self) -> float:
        """Look at every hold; return after how many seconds to look again."""
        while self._leaked:
            self.name(self._leaked.popleft(), Kind.LEAKED)
        now = time.monotonic()
        for hold in self.holds.live():
            running = hold.running(now)
            if running is not None and running >= self._after:
                self.name(hold, Kind.LONG_STATEMENT)
            elif hold.idle(now) >= self._after and not hold.is_over:
                if hold.thread.is_alive():
                    self.name(hold, Kind.IDLE_HELD)
                else:
                    self._reclaim(hold)
        return self._after / 4

    def name(self, hold: Hold, kind: Kind) -> None:
        """Count a hold as of this kind, once; log it with its remedy, once for each place."""
        if kind in hold.kinds:
            return
        hold.kinds.add(kind)
        self.counts[kind] += 1
        place = stacks.place(hold.stack)
        is_over = hold.is_over or kind in {Kind.LEAKED, Kind.NESTED}
        now_at = "" if is_over else stacks.current(hold.thread.ident)
        sentence = f"A connection of the {self.holds.name} lane is {kind}: {hold.describe()}. {REMEDIES[kind]}"
        self.events.append(Event(datetime.now(UTC), kind, self.holds.name, place, sentence, now_at))
        events.note(kind, sentence, place=place)
        if (kind, place) not in self._logged and len(self._logged) < REMEMBERED:
            self._logged.add((kind, place))
            log.warning("%s%s", sentence, f" It is now at {now_at}." if now_at else "")

    def _reclaim(self, hold: Hold) -> None:
        self.name(hold, Kind.ORPHANED)
        if (connection := hold.connection()) is not None:
            # Closed, not reused: nobody can say what its transaction was about. The server rolls it back.
            connection.invalidate()

    def _look_for_nesting(self, hold: Hold) -> None:
        others = [other for other in hold.request.live() if other.holds is self.holds]
        if len(others) >= self._nesting:
            self.name(hold, Kind.NESTED)
