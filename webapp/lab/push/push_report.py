"""The summary of a push, as figures and as text. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from poolproof.lab.loadgen.load_profile import MAX_CLIENT_CPU
from poolproof.lab.reporting.latency import Latency, summarize_latency
from webapp.lab.loadgen.load_generator import ProcessResult
from webapp.lab.loadgen.player import BROWSER_STEPS, FILES, OK_RESULTS, STEPS, RequestSample, Visit

MAX_CLIENT_LAG = 0.25
"""Above this lag of its event loop, in seconds, the load generator itself was the bottleneck."""


@dataclass(frozen=True)
class VerificationResult:
    """What was read back after a push, compared with what the service had acknowledged."""

    answers: int
    """Acknowledged answers, all of which were compared."""
    missing: int
    changed: int
    finishes: int
    """Acknowledged finishes."""
    unfinished: int
    """Acknowledged finishes that are not stored."""

    @property
    def is_intact(self) -> bool:
        """Whether everything acknowledged is stored."""
        return not (self.missing or self.changed or self.unfinished)


@dataclass(frozen=True)
class DatabaseStats:
    """What the database server counted during the push."""

    connections_at_peak: int
    statements: int


@dataclass(frozen=True)
class PushSummary:
    """Figures of a push; `seconds` run from the first intended arrival to the end of the last visit."""

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
    """Share of a processor that the busiest process of the load used."""
    client_lag: float
    """Largest lag of an event loop of the load, in seconds."""
    vanished: int = 0
    """Users who went away in the middle of an answer, because browsers do; they are neither done nor failed."""
    verification: VerificationResult | None = None
    server: DatabaseStats | None = None

    @property
    def client_was_the_bottleneck(self) -> bool:
        """Whether the load generator, and not the service, limited the push."""
        return self.client_cpu > MAX_CLIENT_CPU or self.client_lag > MAX_CLIENT_LAG

    def as_json(self) -> dict[str, Any]:
        """Return everything under stable names."""
        return {**asdict(self), "client_was_the_bottleneck": self.client_was_the_bottleneck}


def summarize(
    results: Sequence[ProcessResult], verification: VerificationResult | None, server: DatabaseStats | None
) -> PushSummary:
    """Return the summary of a push."""
    visits = [visit for result in results for visit in result.visits]
    samples = [sample for visit in visits for sample in visit.samples]
    seconds = _push_duration(visits)
    finals = [sample for sample in samples if sample.is_final]
    steps = BROWSER_STEPS if any(sample.step == FILES for sample in samples) else STEPS
    return PushSummary(
        users=len(visits),
        done=sum(visit.is_complete for visit in visits),
        seconds=seconds,
        requests=len(samples),
        sessions_per_second=len(visits) / seconds,
        requests_per_second=len(samples) / seconds,
        steps={step: summarize_latency([final.seconds for final in finals if final.step == step]) for step in steps},
        session=summarize_latency([visit.seconds for visit in visits if not visit.has_vanished]),
        first_tries_failed=_count_failures(samples),
        failed=_count_failures(finals),
        client_cpu=max(result.cpu_seconds for result in results) / seconds,
        client_lag=max(result.max_lag for result in results),
        vanished=sum(visit.has_vanished for visit in visits),
        verification=verification,
        server=server,
    )


def _count_failures(samples: Sequence[RequestSample]) -> dict[str, int]:
    failed = [sample for sample in samples if sample.result not in OK_RESULTS]
    return dict(Counter(f"{sample.step} {sample.result}" for sample in failed))


def _push_duration(visits: Sequence[Visit]) -> float:
    return max((visit.ended_after for visit in visits), default=0.0) or 1e-9


def as_text(summary: PushSummary) -> str:
    """Return the summary as lines for a terminal."""
    rates = f"{summary.sessions_per_second:.0f} sessions/s, {summary.requests_per_second:.0f} requests/s"
    lines = [
        f"{summary.done} of {summary.users} people were served to the end in {summary.seconds:.1f} s: {rates}",
        "",
        f"{'':<12}{'count':>8}{'p50':>9}{'p95':>9}{'p99':>9}{'worst':>9}   seconds from the intended start",
        *(_format_latency(step, latency) for step, latency in summary.steps.items()),
        _format_latency("session", summary.session),
        "",
        f"failed in the end: {_format_counts(summary.failed)}",
        f"tried again after: {_format_counts(summary.first_tries_failed)}",
    ]
    if summary.vanished:
        lines.append(f"went away in the middle of an answer, as browsers do: {summary.vanished} people")
    if summary.server is not None:
        statements = summary.server.statements / summary.requests
        peak = summary.server.connections_at_peak
        lines.append(f"the database: {peak} connections at peak, {statements:.2f} statements per request")
    lines.append(_format_verification(summary.verification))
    lines.append(
        f"the load: {summary.client_cpu:.0%} of a processor, its loop at most {summary.client_lag * 1000:.0f} ms late"
    )
    if summary.client_was_the_bottleneck:
        lines.append("The load itself was the bottleneck: give it more --processes, or a machine of its own.")
    return "\n".join(lines)


def _format_latency(step: str, latency: Latency) -> str:
    times = (latency.p50, latency.p95, latency.p99, latency.worst)
    return f"{step:<12}{latency.count:>8}" + "".join(f"{seconds:>9.3f}" for seconds in times)


def _format_verification(verification: VerificationResult | None) -> str:
    if verification is None:
        return "the check of what was acknowledged: not made"
    verdict = "every one is stored as it was acknowledged" if verification.is_intact else "BROKEN"
    return (
        f"read back: {verification.answers} answers and {verification.finishes} finishes were acknowledged; {verdict} "
        f"({verification.missing} missing, {verification.changed} changed, {verification.unfinished} unfinished)"
    )


def _format_counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} × {label}" for label, count in sorted(counts.items())) or "none"
