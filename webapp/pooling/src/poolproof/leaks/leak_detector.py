"""Finds connections that are held wrongly, and reports each once, with the kind of violation and a remedy."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from poolproof import event_log
from poolproof.leaks import call_site
from poolproof.leaks.checkout_registry import CheckoutRegistry
from poolproof.leaks.checkouts import Checkout
from poolproof.runtime import fork

log = logging.getLogger(__name__)

MAX_CACHED = 200
"""Violations that are kept, and call sites whose violation has been logged."""


class Violation(StrEnum):
    """What is wrong with a checkout."""

    LEAKED = "leaked"
    ORPHANED = "orphaned"
    IDLE_HELD = "idle-held"
    LONG_STATEMENT = "long statement"
    NESTED = "nested"


REMEDIES = {
    Violation.LEAKED: "It came back by garbage collection only. Use read() or transaction() as a with block, "
    "or close the connection in a finally.",
    Violation.ORPHANED: "The request or thread that borrowed it has ended without returning it; it was taken back. "
    "Use read() or transaction() as a with block, and do not stream from inside one.",
    Violation.IDLE_HELD: "No statement runs. Give the connection back before rendering, sleeping or calling out.",
    Violation.LONG_STATEMENT: "EXPLAIN the statement: it may lack an index, wait for a lock, or read too much at once.",
    Violation.NESTED: "The request holds another connection already. Pass that one on: threads that each wait for "
    "their second connection wait for each other.",
}

SESSION_REMEDIES = {
    **REMEDIES,
    Violation.LEAKED: "It came back by garbage collection only. Use the connection or session as a with block, or "
    "close it in a finally.",
    Violation.ORPHANED: "The request or thread that borrowed it has ended without returning it; it was taken back. Use "
    "the connection or session as a with block, or close it in a finally.",
    Violation.IDLE_HELD: "No statement runs. Commit, roll back or close the session before rendering, sleeping or "
    "calling out: a session holds its connection until then.",
}
"""For applications whose sessions are their own."""


@dataclass(frozen=True)
class DetectedViolation:
    """A reported violation."""

    at: datetime
    violation: Violation
    lane: str
    site: str
    sentence: str
    current_stack: str
    """What the thread was executing when it was reported; "" when the checkout is over, or has just begun."""


class LeakDetector:
    """Examines one engine's checkouts."""

    def __init__(
        self,
        checkouts: CheckoutRegistry,
        threshold: float,
        max_per_request: int,
        remedies: Mapping[Violation, str] = REMEDIES,
    ) -> None:
        """Report what is idle or runs one statement for `threshold` seconds, and more than `max_per_request`."""
        self.checkouts = checkouts
        self.counts: Counter[Violation] = Counter()
        self.detected: deque[DetectedViolation] = deque(maxlen=MAX_CACHED)
        self._remedies = remedies
        self._threshold = threshold
        self._max_per_request = max_per_request
        self._logged_sites: set[tuple[Violation, str]] = set()
        self._leaked: deque[Checkout] = deque()
        self._lock = threading.Lock()
        fork.track(self, fork.Phase.LOCKS)
        checkouts.on_nested = self._check_nesting
        # Called in the middle of a garbage collection, where logging, which takes locks, could deadlock.
        checkouts.on_leak = self._leaked.append
        checkouts.on_orphan = lambda checkout: self.report(checkout, Violation.ORPHANED)

    def scan(self) -> float:
        """Examine every checkout; return after how many seconds to do so again."""
        while self._leaked:
            self.report(self._leaked.popleft(), Violation.LEAKED)
        now = time.monotonic()
        for checkout in self.checkouts.live():
            running = checkout.running_seconds(now)
            if running is not None and running >= self._threshold:
                self.report(checkout, Violation.LONG_STATEMENT)
            elif checkout.idle_seconds(now) >= self._threshold and not checkout.is_returned:
                if checkout.is_abandoned():
                    self._reclaim(checkout)
                else:
                    self.report(checkout, Violation.IDLE_HELD)
        return self._threshold / 4

    def report(self, checkout: Checkout, violation: Violation) -> None:
        """Count a violation, once for each checkout; log it with its remedy, once for each call site."""
        site = call_site.format_site(checkout.stack)
        # The lock makes one of the threads that find the same the one that reports it: the housekeeper and requests.
        with self._lock:
            if violation in checkout.violations:
                return
            checkout.violations |= {violation}
            self.counts[violation] += 1
            is_to_be_logged = (violation, site) not in self._logged_sites and len(self._logged_sites) < MAX_CACHED
            if is_to_be_logged:
                self._logged_sites.add((violation, site))
        is_over = checkout.is_returned or violation in {Violation.LEAKED, Violation.NESTED}
        now_at = "" if is_over else call_site.format_thread(checkout.thread.ident)
        lane = self.checkouts.name
        sentence = f"A connection of the {lane} lane is {violation}: {checkout.describe()}. {self._remedies[violation]}"
        self.detected.append(DetectedViolation(datetime.now(UTC), violation, lane, site, sentence, now_at))
        event_log.record(violation, sentence, site=site)
        if is_to_be_logged:
            log.warning("%s%s", sentence, f" It is now at {now_at}." if now_at else "")

    def reset_after_fork(self) -> None:
        """Replace the lock, which a thread of the parent may have held at the fork."""
        self._lock = threading.Lock()

    def _reclaim(self, checkout: Checkout) -> None:
        self.report(checkout, Violation.ORPHANED)
        if (connection := checkout.connection()) is not None:
            # Closed, not reused: its transaction is in an unknown state. The server rolls it back.
            connection.invalidate()

    def _check_nesting(self, checkout: Checkout) -> None:
        others = [other for other in checkout.request.live() if other.registry is self.checkouts]
        if len(others) >= self._max_per_request:
            self.report(checkout, Violation.NESTED)
