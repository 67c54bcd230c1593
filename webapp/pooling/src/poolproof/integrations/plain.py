"""Metrics of an application without Flask: of the engines that this process has adopted."""

from __future__ import annotations

from poolproof.adoption.engines import DEFAULT_SETTINGS, adopted_lanes
from poolproof.adoption.process import AdoptedProcess
from poolproof.core.stats import RequestStatistics


def metrics_text(*, openmetrics: bool = False) -> str:
    """Return the metrics of every engine that this process has adopted, in Prometheus's text format.

    Each pool has its engine's name as a label. Nothing is asked of a database.
    """
    process = AdoptedProcess(adopted_lanes(), RequestStatistics(), None, DEFAULT_SETTINGS.min_idle)
    return process.metrics_text(openmetrics=openmetrics)
