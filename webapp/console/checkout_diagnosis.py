"""What is wrong with the threads and connections of processes: who waits, and who holds. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from poolproof.leaks.leak_detector import REMEDIES, Violation
from webapp.console.fleet_view import FleetView, HolderView, ProcessView
from webapp.console.format_duration import format_duration
from webapp.console.severity import Diagnosis, Severity
from webapp.messages import join_messages, message

STUCK_THRESHOLD = 1.0
"""Seconds without a free thread, or of a request's wait for a connection, that are critical."""
LONG_HOLD_THRESHOLD = 5.0
"""Seconds of a wrong checkout that are critical."""
RECENT_WINDOW = 120.0
MAX_NAMED_SITES = 5
"""Places of wrong checkouts that are named one by one."""
VIOLATION_TEXTS = {
    Violation.IDLE_HELD: message("idle while checked out: a leak?"),
    Violation.LONG_STATEMENT: message("one long statement."),
    Violation.NESTED: message("nested checkout."),
    Violation.ORPHANED: message("its request is over."),
    Violation.LEAKED: message("leaked: its owner is gone."),
}


def diagnose_checkouts(view: FleetView) -> Iterator[Diagnosis]:
    """Return what is wrong with threads, waits, refusals and checkouts."""
    yield from _diagnose_threads(view)
    yield from _diagnose_waiting(view)
    yield from _diagnose_rejections(view)
    yield from _diagnose_holders(view)
    yield from _diagnose_lost_connections(view)


def _diagnose_threads(view: FleetView) -> Iterator[Diagnosis]:
    for process in view.processes:
        if process.stuck_for > STUCK_THRESHOLD:
            yield Diagnosis(
                Severity.CRITICAL,
                message(
                    "%(name)s: no thread has been free for %(time)s, and %(requests)s for one.",
                    name=process_name(process),
                    time=format_duration(process.stuck_for),
                    requests=_waiting_requests(process.queued),
                ),
                message(
                    "All of them are busy with something that takes long%(site)s. See the checked-out connections, and "
                    "what the server reports of those.",
                    site=_most_common_site(view, process.key),
                ),
                "holders",
            )


def _diagnose_waiting(view: FleetView) -> Iterator[Diagnosis]:
    for process in view.processes:
        if process.waiting:
            is_critical = process.oldest > STUCK_THRESHOLD or process.waiting > 2 * view.need.interactive
            yield Diagnosis(
                Severity.CRITICAL if is_critical else Severity.WARNING,
                message(
                    "%(name)s: %(requests)s for a connection, the first for %(time)s.",
                    name=process_name(process),
                    requests=_waiting_requests(process.waiting),
                    time=format_duration(process.oldest),
                ),
                message(
                    "See the checked-out connections%(site)s. See docs/queuepool-limit-reached.md.",
                    site=_most_common_site(view, process.key),
                ),
                "holders",
            )


def _diagnose_rejections(view: FleetView) -> Iterator[Diagnosis]:
    if rejected := sum(process.rejected for process in view.processes):
        shedding = [process.label for process in view.processes if any(lane.is_slow for lane in process.lanes)]
        where = message(" (%(names)s still sheds load)", names=", ".join(shedding)) if shedding else ""
        yield Diagnosis(
            Severity.CRITICAL,
            message("1 request was rejected with 503 in the last two minutes%(where)s.", where=where)
            if rejected == 1
            else message(
                "%(count)s requests were rejected with 503 in the last two minutes%(where)s.",
                count=rejected,
                where=where,
            ),
            message(
                "More arrived than the pools could serve in time. Release connections sooner; then see “Pool size”."
            ),
            "workers",
        )


def _diagnose_holders(view: FleetView) -> Iterator[Diagnosis]:
    groups: dict[tuple[str, str], list[HolderView]] = {}
    for holder in view.holders:
        if holder.violations:
            groups.setdefault((holder.violations[0], holder.place), []).append(holder)
    for (name, site), holders in list(groups.items())[:MAX_NAMED_SITES]:
        violation, longest = Violation(name), holders[0]
        request = longest.name.partition(" (request")[0]
        values = {
            "time": format_duration(longest.seconds),
            "request": request,
            "reason": VIOLATION_TEXTS[violation],
        }
        text = message(
            "%(name)s has held a connection for %(time)s in %(request)s: %(reason)s",
            name=process_name(longest.process),
            **values,
        )
        if len(holders) > 1:
            text = message(
                "%(count)s connections have been held for up to %(time)s in %(request)s: %(reason)s",
                count=len(holders),
                **values,
            )
        yield Diagnosis(
            Severity.CRITICAL if longest.seconds > LONG_HOLD_THRESHOLD else Severity.WARNING,
            text,
            join_messages(message("Checked out at %(site)s.", site=site), REMEDIES[violation]),
            "holders",
        )


def _diagnose_lost_connections(view: FleetView) -> Iterator[Diagnosis]:
    recent = Counter(
        (str(event["kind"]), str(event["place"]))
        for event in view.events
        if event["kind"] in {Violation.LEAKED, Violation.ORPHANED} and view.at - event["at"] < RECENT_WINDOW
    )
    for (kind, site), count in recent.most_common(3):
        if count > 1:
            text = message(
                "%(count)s connections were %(kind)s at %(site)s in the last two minutes.",
                count=count,
                kind=message(kind),
                site=site,
            )
        else:
            text = message(
                "A connection was %(kind)s at %(site)s in the last two minutes.", kind=message(kind), site=site
            )
        yield Diagnosis(Severity.WARNING, text, REMEDIES[Violation(kind)], "events")


def process_name(process: ProcessView) -> str:
    """Return what a process is called at the beginning of a sentence."""
    return process.label.capitalize()


def _waiting_requests(count: int) -> str:
    return message("%(count)s requests wait", count=count) if count > 1 else message("1 request waits")


def _most_common_site(view: FleetView, key: str) -> str:
    sites = Counter(holder.place for holder in view.holders if holder.process.key == key)
    return message(", most often %(site)s", site=sites.most_common(1)[0][0]) if sites else ""
