"""The fit of the scalability law, against curves whose truth is known."""

from __future__ import annotations

import math
from dataclasses import astuple

import numpy as np
import pytest

from poolproof.lab.sizing.usl import Interval, TooFewSizesError, UslCurve, UslFit, estimate_interval, fit_usl

SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
REPETITIONS = 5
KNOWN = (UslCurve(1000, 0.02, 0.0005), UslCurve(300, 0.08, 0.003), UslCurve(50, 0.2, 0.002), UslCurve(2500, 0.05, 0.01))


def figures(law: UslCurve, noise: float, seed: int, sizes: tuple[int, ...] = SIZES) -> tuple[list[float], list[float]]:
    draw = np.random.default_rng(seed)
    at = [float(size) for size in sizes for _ in range(REPETITIONS)]
    return at, [law.throughput_at(size) * math.exp(draw.normal(0, noise)) for size in at]


def fitted(law: UslCurve, noise: float = 0.03, seed: int = 7, resamples: int = 500) -> UslFit:
    return fit_usl(*figures(law, noise, seed), resamples=resamples, seed=seed)


@pytest.mark.parametrize("law", KNOWN)
def test_known_parameters_come_back_from_exact_figures(law: UslCurve) -> None:
    curve = fit_usl(*figures(law, 0.0, 1), resamples=1).curve
    assert (curve.rate, curve.contention, curve.coherency) == pytest.approx(
        (law.rate, law.contention, law.coherency), rel=1e-6
    )


@pytest.mark.parametrize("law", KNOWN)
@pytest.mark.parametrize("noise", [0.01, 0.03, 0.05])
def test_parameters_and_peak_come_back_within_five_percent_from_noisy_figures(law: UslCurve, noise: float) -> None:
    fits = [fitted(law, noise, seed, resamples=1) for seed in range(20)]
    assert np.median([fit.curve.peak_at for fit in fits]) == pytest.approx(law.peak_at, rel=0.05)
    for name in ("rate", "contention", "coherency"):
        assert np.median([getattr(fit.curve, name) for fit in fits]) == pytest.approx(getattr(law, name), rel=0.05)
    assert all(fit.peak.value == pytest.approx(law.throughput_at(law.peak_at), rel=0.05) for fit in fits)


@pytest.mark.parametrize("law", [KNOWN[1], KNOWN[3]])
def test_intervals_of_90_percent_cover_the_truth_as_often_as_they_say(law: UslCurve) -> None:
    truths = {
        "rate": law.rate,
        "contention": law.contention,
        "coherency": law.coherency,
        "peak_at": law.peak_at,
        "peak": law.throughput_at(law.peak_at),
    }
    fits = [fitted(law, 0.03, seed, resamples=100) for seed in range(200)]
    for name, truth in truths.items():
        covered = sum(getattr(fit, name).low <= truth <= getattr(fit, name).high for fit in fits)
        assert 160 <= covered <= 196, name


def test_a_curve_without_a_peak_is_said_to_have_none() -> None:
    fit = fitted(UslCurve(100, 0.05, 0.0))
    assert not fit.has_peak
    assert "No peak observed up to 64" in fit.describe()


def test_a_peak_beyond_what_was_measured_was_not_observed() -> None:
    fit = fitted(UslCurve(100, 0.02, 0.0001), noise=0.001)
    assert fit.curve.peak_at > 90
    assert not fit.has_peak


def test_a_linear_curve_is_linear() -> None:
    fit = fitted(UslCurve(20, 0.0, 0.0), noise=0.01)
    assert fit.curve.throughput_at(32) == pytest.approx(640, rel=0.03)
    assert fit.contention.low == 0


def test_the_sentence_names_the_peak_and_its_interval() -> None:
    assert fitted(KNOWN[1], noise=0.01).describe().startswith("The peak is at 17.")


def test_figures_of_another_shape_are_said_to_be_described_poorly() -> None:
    at = [float(size) for size in SIZES]
    fit = fit_usl(at, [min(size, 16) * 20 for size in at])
    assert "poorly" in fit.describe()


def test_a_figure_of_little_weight_bends_the_curve_little() -> None:
    law = KNOWN[1]
    at, measured = figures(law, 0.0, 1)
    bent = [*measured[:-1], measured[-1] / 3]
    weights = [1.0] * (len(at) - 1) + [0.001]
    assert fit_usl(at, bent, weights=weights).curve.peak_at == pytest.approx(law.peak_at, rel=0.01)
    assert fit_usl(at, bent).curve.peak_at != pytest.approx(law.peak_at, rel=0.01)


def test_the_same_seed_gives_the_same_intervals() -> None:
    assert fitted(KNOWN[0]).peak_at == fitted(KNOWN[0]).peak_at


def test_the_band_holds_the_curve() -> None:
    fit = fitted(KNOWN[1])
    band = fit.band(10)
    assert band.low < fit.curve.throughput_at(10) < band.high


@pytest.mark.parametrize(("sizes", "measured"), [([1, 2], [10, 20]), ([1, 2, 2], [10, 20, 20]), ([1, 2, 4], [9, 0, 9])])
def test_two_sizes_or_no_throughput_determine_no_law(sizes: list[float], measured: list[float]) -> None:
    with pytest.raises(TooFewSizesError):
        fit_usl(sizes, measured)


def test_one_disturbed_run_does_not_move_the_middle_but_widens_the_interval() -> None:
    interval = estimate_interval([100, 101, 20])
    assert interval.value == 100
    assert interval.low < 20
    assert estimate_interval([0, 100, 100]).value == 100


def test_repeated_figures_have_an_interval_around_their_median() -> None:
    interval = estimate_interval([90, 100, 111.1])
    assert interval.low < 90 < interval.value < 111 < interval.high
    assert astuple(estimate_interval([5.0])) == pytest.approx((5, 5, 5))


def test_intervals_overlap_when_they_share_a_value() -> None:
    assert Interval(1, 2, 3).overlaps(Interval(3, 4, 5))
    assert not Interval(1, 2, 3).overlaps(Interval(3.1, 4, 5))
