"""Long metrics keep their spikes; means and spreads are those of a loop."""

from itertools import pairwise

import numpy as np
import pytest

from odc_lightning.reporting.report_page import band, thin


def test_short_ones_stay_as_they_are() -> None:
    steps, values = thin(np.arange(5.0), np.array([1, 5, np.nan, np.inf, 2]), 10)
    np.testing.assert_array_equal(steps, np.arange(5))
    np.testing.assert_array_equal(values, [1, 5, np.nan, np.nan, 2])


def test_a_million_values_and_their_spikes() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=1_000_000)
    values[[12_345, 777_777]] = 50, -50
    steps, thinned = thin(np.arange(1e6), values, 1000)
    assert len(steps) <= 1002
    assert thinned[steps == 12_345] == 50
    assert thinned[steps == 777_777] == -50
    assert {0, 999_999} <= set(steps)
    assert (np.diff(steps) > 0).all()
    np.testing.assert_array_equal(thinned, values[steps.astype(int)])


@pytest.mark.parametrize("length", [11, 40, 101])
def test_each_bin_keeps_its_extremes(length: int) -> None:
    values = np.random.default_rng(length).normal(size=length)
    steps, _ = thin(np.arange(float(length)), values, 10)
    edges = [int(length * i / 5) for i in range(6)]
    expected = {0, length - 1}
    for start, stop in pairwise(edges):
        expected |= {start + int(f(values[start:stop])) for f in (np.argmin, np.argmax)}
    assert set(steps) == expected


def test_gaps_stay() -> None:
    values = np.ones(100)
    values[50] = np.nan
    values[20:40] = np.inf  # a whole bin and more
    steps, thinned = thin(np.arange(100.0), values, 10)
    assert 50 in steps[np.isnan(thinned)]
    assert 20 in steps[np.isnan(thinned)]
    assert not np.isinf(thinned).any()


def test_a_band_at_the_same_steps() -> None:
    steps = np.array([1.0, 2, 3])
    found = band([(steps, np.array([1.0, 2, 3])), (steps, np.array([3.0, np.nan, 5]))], 10)
    np.testing.assert_array_equal(found.steps, steps)
    np.testing.assert_allclose(found.mean, [2, 2, 4])
    np.testing.assert_allclose(found.spread, [np.sqrt(2), 0, np.sqrt(2)])


def test_a_band_of_bins() -> None:
    rng = np.random.default_rng(1)
    runs = [(np.arange(1.0, 101), rng.normal(size=100)), (np.arange(1.0, 81), rng.normal(size=80))]
    found = band(runs, 10)
    for i in range(10):
        means = [
            values[(steps > 10 * i) & (steps <= 10 * i + 10)].mean()
            for steps, values in runs
            if ((steps > 10 * i) & (steps <= 10 * i + 10)).any()
        ]
        assert found.steps[i] == 10 * i + 5.5
        assert found.mean[i] == pytest.approx(np.mean(means))
        expected = np.std(means, ddof=1) if len(means) > 1 else 0
        assert found.spread[i] == pytest.approx(expected)
