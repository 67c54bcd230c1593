"""Gunther's Universal Scalability Law, fitted to what was measured. Pure.

    X(N) = λN / (1 + σ(N − 1) + κN(N − 1))

X is the throughput with N at once, λ that of one alone; σ is contention (a share that goes one after the other),
κ coherency (what each pays for every other). With κ > 0 there is a peak at N* = √((1 − σ) / κ). Sources: N. J.
Gunther, Guerrilla Capacity Planning, Springer 2007, chapters 4 to 6; and A General Theory of Computational
Scalability Based on Rational Functions, arXiv:0808.1431, 2008.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.stats import t as student

FloatArray = NDArray[np.float64]

CONFIDENCE_LEVEL = 0.90
BOOTSTRAP_SAMPLES = 500
PARAMETERS = 3
MIN_COHERENCY = 1e-9
"""A smaller κ counts as 0: its peak would be beyond 30,000."""
MAX_MISFIT = 0.10
MAX_LEVERAGE = 0.9


class TooFewSizesError(Exception):
    """The law has three parameters: fewer different sizes do not determine it."""


@dataclass(frozen=True)
class Interval:
    """A value with the limits of its interval at the stated level."""

    low: float
    value: float
    high: float

    def overlaps(self, other: Interval) -> bool:
        """Whether both could be the same value."""
        return self.low <= other.high and other.low <= self.high


@dataclass(frozen=True)
class UslCurve:
    """One curve: λ in operations a second, σ and κ as shares of one operation."""

    rate: float
    contention: float
    coherency: float

    def throughput_at(self, size: float) -> float:
        """Return the throughput with `size` at once."""
        return self.rate * size / (1 + self.contention * (size - 1) + self.coherency * size * (size - 1))

    @property
    def peak_at(self) -> float:
        """N*, at least 1; infinite where throughput only grows."""
        if self.coherency <= MIN_COHERENCY:
            return math.inf
        return max(1.0, math.sqrt(max(0.0, 1 - self.contention) / self.coherency))


@dataclass(frozen=True)
class UslFit:
    """The curve that describes the figures best, with intervals."""

    curve: UslCurve
    rate: Interval
    contention: Interval
    coherency: Interval
    peak_at: Interval
    peak: Interval
    """X(N*); where no peak was observed, the largest value within the measured sizes."""
    has_peak: bool
    misfit: float
    """Largest relative distance of the mean of a size from the curve: large where the law does not fit."""
    max_size: int
    level: float
    resampled_curves: tuple[UslCurve, ...]

    def band(self, size: float) -> Interval:
        """Return the throughput at a size with its interval."""
        return _percentile_interval(
            self.curve.throughput_at(size), [curve.throughput_at(size) for curve in self.resampled_curves], self.level
        )

    def describe(self) -> str:
        """Say where the peak is, or that none was observed."""
        if not self.has_peak:
            sentence = f"No peak observed up to {self.max_size}: throughput never fell by more than chance explains."
        else:
            at, peak = self.peak_at, self.peak
            sentence = (
                f"The peak is at {at.value:.1f} ({at.low:.1f} to {at.high:.1f}) with {peak.value:.0f} a second "
                f"({peak.low:.0f} to {peak.high:.0f}); {self.level:.0%} intervals."
            )
        if self.misfit > MAX_MISFIT:
            sentence += f" The law describes these figures poorly (off by up to {self.misfit:.0%}): trust the points."
        return sentence


def fit_usl(
    sizes: Sequence[float],
    throughputs: Sequence[float],
    *,
    weights: Sequence[float] | None = None,
    level: float = CONFIDENCE_LEVEL,
    resamples: int = BOOTSTRAP_SAMPLES,
    seed: int = 1,
) -> UslFit:
    """Fit the law to measured throughputs; a size that was measured repeatedly is there repeatedly.

    N / X = a + b(N − 1) + cN(N − 1) with a = 1/λ, b = σ/λ, c = κ/λ is linear, so non-negative least squares on
    relative errors (the noise of a throughput grows with it) finds the global optimum.

    The intervals come from resampling residuals. The sizes are chosen, not drawn, and repeated a few times only:
    resampling cases would leave out whole sizes, among them the first or the last, which determine σ and κ.
    Residuals are scaled by their leverage, because a fit bends towards its own points.

    Args:
        sizes: N, each above 0.
        throughputs: Operations a second, each above 0.
        weights: Of the figures; 1 each by default.
        level: Of the intervals.
        resamples: How often residuals are drawn.
        seed: Of the random numbers; the same seed gives the same intervals.

    Raises:
        TooFewSizesError: with fewer than three different sizes, or figures that are not above 0.
    """
    size, measured = np.asarray(sizes, float), np.asarray(throughputs, float)
    weight = np.ones_like(size) if weights is None else np.asarray(weights, float)
    if len(np.unique(size)) < PARAMETERS or not (measured > 0).all() or not (size > 0).all():
        raise TooFewSizesError(f"{len(np.unique(size))} different sizes; at least {PARAMETERS}, with figures above 0.")
    curve = _fit_curve(size, measured, weight)
    residuals = _resample_residuals(curve, size, measured, weight, resamples, seed=seed)
    expected = _predict(curve, size)
    resampled = tuple(_fit_curve(size, expected * np.exp(noise), weight) for noise in residuals)
    max_size = float(size.max())

    def interval(value: Callable[[UslCurve], float]) -> Interval:
        return _percentile_interval(value(curve), [value(other) for other in resampled], level)

    coherency = interval(lambda fitted: fitted.coherency)
    return UslFit(
        curve=curve,
        rate=interval(lambda fitted: fitted.rate),
        contention=interval(lambda fitted: fitted.contention),
        coherency=coherency,
        peak_at=interval(lambda fitted: fitted.peak_at),
        peak=interval(lambda fitted: _peak_throughput(fitted, max_size)),
        has_peak=coherency.low > MIN_COHERENCY and curve.peak_at <= max_size,
        misfit=_misfit(curve, size, measured),
        max_size=int(max_size),
        level=level,
        resampled_curves=resampled,
    )


def estimate_interval(values: Sequence[float], level: float = CONFIDENCE_LEVEL) -> Interval:
    """Return the median of repeated figures, which one disturbed run does not change, with Student's interval.

    The interval is computed on the logarithms, because the noise is relative; on the figures themselves where one of
    them is 0. For a single figure both limits are the figure.
    """
    figures = np.asarray(values, float)
    value = float(np.median(figures))
    low, high = (
        np.exp(_student_interval(np.log(figures), level)) if (figures > 0).all() else _student_interval(figures, level)
    )
    return Interval(min(value, max(0.0, float(low))), value, max(value, float(high)))


def _student_interval(figures: FloatArray, level: float) -> tuple[float, float]:
    mean = float(figures.mean())
    if len(figures) == 1:
        return mean, mean
    standard_error = float(figures.std(ddof=1)) / math.sqrt(len(figures))
    half_width = float(student.ppf((1 + level) / 2, len(figures) - 1)) * standard_error
    return mean - half_width, mean + half_width


def _peak_throughput(curve: UslCurve, largest: float) -> float:
    return curve.throughput_at(min(curve.peak_at, largest))


def _design_matrix(sizes: FloatArray) -> FloatArray:
    return np.column_stack([np.ones_like(sizes), sizes - 1, sizes * (sizes - 1)])


def _fit_curve(sizes: FloatArray, throughputs: FloatArray, weights: FloatArray) -> UslCurve:
    # Each row is multiplied by the throughput expected of its size, so that its residual is a relative error. The
    # figures themselves are the first expectation; with it alone, figures that are high by chance would have more
    # weight.
    expected = throughputs
    for _ in range(2):
        scale = expected / sizes * np.sqrt(weights)
        solution, _ = nnls(_design_matrix(sizes) * scale[:, None], sizes / throughputs * scale)
        if solution[0] <= 0:
            break
        expected = sizes / (_design_matrix(sizes) @ solution)
    intercept = max(float(solution[0]), MIN_COHERENCY)
    return UslCurve(1 / intercept, float(solution[1]) / intercept, float(solution[2]) / intercept)


def _predict(curve: UslCurve, sizes: FloatArray) -> FloatArray:
    return np.array([curve.throughput_at(size) for size in sizes])


def _resample_residuals(
    curve: UslCurve, sizes: FloatArray, throughputs: FloatArray, weights: FloatArray, resamples: int, *, seed: int
) -> FloatArray:
    """Return residuals drawn with replacement, one row for each resampling."""
    expected, scale = _predict(curve, sizes), np.sqrt(weights)
    orthogonal, _ = np.linalg.qr(_design_matrix(sizes) * (expected / sizes * scale)[:, None])
    leverage = np.minimum((orthogonal**2).sum(axis=1), MAX_LEVERAGE)
    residuals = np.log(throughputs / expected) * scale / np.sqrt(1 - leverage)
    drawn: FloatArray = np.random.default_rng(seed).choice(residuals - residuals.mean(), size=(resamples, len(sizes)))
    return drawn / scale


def _misfit(curve: UslCurve, sizes: FloatArray, throughputs: FloatArray) -> float:
    return max(
        abs(float(throughputs[sizes == size].mean()) / curve.throughput_at(size) - 1) for size in np.unique(sizes)
    )


def _percentile_interval(value: float, resampled: Sequence[float], level: float) -> Interval:
    if not resampled:
        return Interval(value, value, value)
    ordered = sorted(resampled)
    # By rank, without interpolation: some peaks may be infinite.
    low = ordered[int((1 - level) / 2 * (len(ordered) - 1))]
    high = ordered[math.ceil((1 + level) / 2 * (len(ordered) - 1))]
    return Interval(min(low, value), value, max(high, value))
