"""What a push has shown, as numbers and as a page of text. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from webapp.lab.loadgen.load_generator import ProcessResult
from webapp.lab.loadgen.player import OK_STATUSES, STEPS, Visit

OK_RESULTS = {str(status) for status in OK_STATUSES}
MAX_CLIENT_CPU = 0.85
MAX_CLIENT_LAG = 0.25
"""Above this share of a processor, or this lag of its event loop in seconds, the client itself was the bottleneck."""


@dataclass(frozen=True)
class Latency:
    """Seconds, from the intended start."""

    count: int
    p50: float
    p95: float
    p99: float
    worst: float


@dataclass(frozen=True)
class VerificationResult:
    """What was read back afterwards."""

    answers: int
    """Acknowledged, and compared."""
    missing: int
    changed: int
    finishes: int
    unfinished: int
    """Finishes that were acknowledged and are not stored."""

    @property
    def is_intact(self) -> bool:
        """Whether nothing acknowledged was lost."""
        return not (self.missing or self.changed or self.unfinished)


@dataclass(frozen=True)
class DatabaseStats:
    """What the database server saw meanwhile."""

    connections_at_peak: int
    statements: int


@dataclass(frozen=True)
class PushSummary:
    """A push, summed up; `seconds` from the first intended arrival to the last end."""

    users: int
    done: int
    seconds: float
    requests: int
    sessions_per_second: float
    requests_per_second: float
    steps: dict[str, Latency]
    session: Latency
    first_tries_failed: dict[str, int]
    failed: dict[str, int]
    client_cpu: float
    """Processor seconds of the load's processes for each second of the push, as a share of one processor each."""
    client_lag: float
    proof: VerificationResult | None = None
    server: DatabaseStats | None = None

    @property
    def client_was_the_bottleneck(self) -> bool:
        """Whether the figures say more about the client than about the server."""
        return self.client_cpu > MAX_CLIENT_CPU or self.client_lag > MAX_CLIENT_LAG

    def as_json(self) -> dict[str, Any]:
        """Return everything under stable names."""
        return {**asdict(self), "client_was_the_bottleneck": self.client_was_the_bottleneck}


def summarize_latency(seconds: Sequence[float]) -> Latency:
    """Return the percentiles of these durations; all 0 when there are none."""
    if not seconds:
        return Latency(0, 0, 0, 0, 0)
    ordered = sorted(seconds)
    p50, p95, p99 = (ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.95, 0.99))
    return Latency(len(ordered), p50, p95, p99, ordered[-1])


def summarize(
    results: Sequence[ProcessResult], proof: VerificationResult | None, server: DatabaseStats | None
) -> PushSummary:
    """Return the report of a push."""
    visits = [visit for share in results for visit in share.visits]
    samples = [sample for visit in visits for sample in visit.samples]
    seconds = _push_duration(visits)
    finals = {step: [one.seconds for one in samples if one.step == step and one.is_final] for step in STEPS}
    failed = Counter(f"{one.step} {one.result}" for one in samples if one.is_final and one.result not in OK_RESULTS)
    tried = Counter(f"{one.step} {one.result}" for one in samples if one.result not in OK_RESULTS)
    return PushSummary(
        users=len(visits),
        done=sum(visit.is_complete for visit in visits),
        seconds=seconds,
        requests=len(samples),
        sessions_per_second=len(visits) / seconds,
        requests_per_second=len(samples) / seconds,
        steps={step: summarize_latency(found) for step, found in finals.items()},
        session=summarize_latency([visit.seconds for visit in visits]),
        first_tries_failed=dict(tried),
        failed=dict(failed),
        client_cpu=max(share.cpu_seconds for share in results) / seconds,
        client_lag=max(share.max_lag for share in results),
        proof=proof,
        server=server,
    )


def _push_duration(visits: Sequence[Visit]) -> float:
    return max((visit.ended_after for visit in visits), default=0.0) or 1e-9


def as_text(summary: PushSummary) -> str:
    """Return a page for people."""
    came = f"{summary.done} of {summary.users} people came through in {summary.seconds:.1f} s: "
    lines = [
        came + f"{summary.sessions_per_second:.0f} sessions/s, {summary.requests_per_second:.0f} requests/s",
        "",
        f"{'':<9}{'count':>8}{'p50':>9}{'p95':>9}{'p99':>9}{'worst':>9}   seconds from the intended start",
    ]
    for step, found in [*summary.steps.items(), ("session", summary.session)]:
        times = "".join(f"{value:>9.3f}" for value in (found.p50, found.p95, found.p99, found.worst))
        lines.append(f"{step:<9}{found.count:>8}{times}")
    lines += [
        "",
        f"failed in the end: {_format_counts(summary.failed)}",
        f"tried again after: {_format_counts(summary.first_tries_failed)}",
    ]
    if summary.server is not None:
        each = summary.server.statements / summary.requests
        lines.append(
            f"the database: {summary.server.connections_at_peak} connections at peak, {each:.2f} statements per request"
        )
    lines.append(_format_verification(summary.proof))
    lines.append(
        f"the load: {summary.client_cpu:.0%} of a processor, its loop at most {summary.client_lag * 1000:.0f} ms late"
    )
    if summary.client_was_the_bottleneck:
        lines.append("The load itself was the bottleneck: give it more --processes, or a machine of its own.")
    return "\n".join(lines)


def _format_verification(proof: VerificationResult | None) -> str:
    if proof is None:
        return "the proof: not made"
    verdict = "every one is stored as it was acknowledged" if proof.is_intact else "BROKEN"
    return (
        f"the proof: {proof.answers} answers and {proof.finishes} finishes were acknowledged; {verdict} "
        f"({proof.missing} missing, {proof.changed} changed, {proof.unfinished} unfinished)"
    )


def _format_counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} × {what}" for what, count in sorted(counts.items())) or "none"
