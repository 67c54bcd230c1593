"""Finds connections that are held wrongly, names the kind, and says what to do; each once."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from poolproof import event_log
from poolproof.leaks import call_site
from poolproof.leaks.checkouts import Checkout, CheckoutRegistry

log = logging.getLogger(__name__)

MAX_CACHED = 200
"""Events, and places whose fault has been logged."""


class Violation(StrEnum):
    """What is wrong with a hold."""

    LEAKED = "leaked"
    ORPHANED = "orphaned"
    IDLE_HELD = "idle-held"
    LONG_STATEMENT = "long statement"
    NESTED = "nested"


REMEDIES = {
    Violation.LEAKED: "It came back by garbage collection only. Use read() or transaction() as a with block, "
    "or close the connection in a finally.",
    Violation.ORPHANED: "Whoever borrowed it has ended and did not give it back; it was taken back. Use read() or "
    "transaction() as a with block, and do not stream from inside one.",
    Violation.IDLE_HELD: "No statement runs. Give the connection back before rendering, sleeping or calling out.",
    Violation.LONG_STATEMENT: "EXPLAIN the statement: it may lack an index, wait for a lock, or read too much at once.",
    Violation.NESTED: "The borrower holds another connection already. Pass that one on: threads that each wait for "
    "their second connection wait for each other.",
}


@dataclass(frozen=True)
class DetectedViolation:
    """A hold that was named."""

    at: datetime
    violation: Violation
    lane: str
    site: str
    sentence: str
    current_stack: str
    """What the holder was executing when it was named; "" when that is over, or is the borrowing itself."""


class LeakDetector:
    """Looks at one engine's holds."""

    def __init__(self, checkouts: CheckoutRegistry, threshold: float, max_per_request: int) -> None:
        """Name a hold that is idle or runs one statement for `after` seconds, and more than `nesting` at once."""
        self.checkouts = checkouts
        self.counts: Counter[Violation] = Counter()
        self.detected: deque[DetectedViolation] = deque(maxlen=MAX_CACHED)
        self._threshold = threshold
        self._max_per_request = max_per_request
        self._logged_sites: set[tuple[Violation, str]] = set()
        self._leaked: deque[Checkout] = deque()
        checkouts.on_checkout = self._check_nesting
        # In the middle of a garbage collection nothing is logged: that takes locks.
        checkouts.on_leak = self._leaked.append
        checkouts.on_orphan = lambda hold: self.report(hold, Violation.ORPHANED)

    def scan(self) -> float:
        """Look at every hold; return after how many seconds to look again."""
        while self._leaked:
            self.report(self._leaked.popleft(), Violation.LEAKED)
        now = time.monotonic()
        for hold in self.checkouts.live():
            running = hold.running_seconds(now)
            if running is not None and running >= self._threshold:
                self.report(hold, Violation.LONG_STATEMENT)
            elif hold.idle_seconds(now) >= self._threshold and not hold.is_returned:
                if hold.thread.is_alive():
                    self.report(hold, Violation.IDLE_HELD)
                else:
                    self._reclaim(hold)
        return self._threshold / 4

    def report(self, checkout: Checkout, violation: Violation) -> None:
        """Count a hold as of this kind, once; log it with its remedy, once for each place."""
        if violation in checkout.violations:
            return
        checkout.violations.add(violation)
        self.counts[violation] += 1
        place = call_site.format_site(checkout.stack)
        is_over = checkout.is_returned or violation in {Violation.LEAKED, Violation.NESTED}
        now_at = "" if is_over else call_site.format_thread(checkout.thread.ident)
        sentence = f"A connection of the {self.checkouts.name} lane is {violation}: {checkout.describe()}. {REMEDIES[violation]}"
        self.detected.append(
            DetectedViolation(datetime.now(UTC), violation, self.checkouts.name, place, sentence, now_at)
        )
        event_log.record(violation, sentence, site=place)
        if (violation, place) not in self._logged_sites and len(self._logged_sites) < MAX_CACHED:
            self._logged_sites.add((violation, place))
            log.warning("%s%s", sentence, f" It is now at {now_at}." if now_at else "")

    def _reclaim(self, checkout: Checkout) -> None:
        self.report(checkout, Violation.ORPHANED)
        if (connection := checkout.connection()) is not None:
            # Closed, not reused: nobody can say what its transaction was about. The server rolls it back.
            connection.invalidate()

    def _check_nesting(self, checkout: Checkout) -> None:
        others = [other for other in checkout.request.live() if other.registry is self.checkouts]
        if len(others) >= self._max_per_request:
            self.report(checkout, Violation.NESTED)
