"""Paired differences: held to scipy's t, and to how often an interval holds the truth."""

import numpy as np
import pytest
from scipy import stats

from tflm_export.errors import TfodlError
from tfodl.experiments.paired import Difference, difference, mean_of, of_seeds_and_pictures, student


def test_quantiles_are_students():
    for freedom in (3, 4, 8, 30, 1000):
        assert student(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=0.005)


def test_where_pictures_do_not_matter_it_is_the_t_test_over_seeds():
    shift = np.array([0.1, 0.3, 0.2, 0.25])
    found = of_seeds_and_pictures(np.repeat(shift[:, None], 50, axis=1))
    low, high = stats.ttest_1samp(shift, 0).confidence_interval()
    assert (found.mean - found.half, found.mean + found.half) == pytest.approx((low, high), rel=0.01)


def test_where_seeds_do_not_matter_it_is_the_error_over_pictures():
    pictures = np.random.default_rng(0).normal(size=500)
    found = of_seeds_and_pictures(np.repeat(pictures[None], 5, axis=0))
    assert found.error == pytest.approx(stats.sem(pictures), rel=1e-6)


@pytest.mark.parametrize(("seed_sd", "picture_sd"), [(0.0, 0.3), (0.03, 0.3), (0.03, 0.0)])
def test_intervals_hold_the_truth_19_times_in_20(seed_sd, picture_sd):
    rng, held, draws = np.random.default_rng(1), 0, 600
    for _ in range(draws):
        d = rng.normal(0.01, seed_sd, (5, 1)) + rng.normal(0, picture_sd, 300) + rng.normal(0, 0.3, (5, 300))
        found = of_seeds_and_pictures(d)
        held += abs(found.mean - 0.01) <= found.half
    assert 0.93 <= held / draws <= 0.995


def test_pairing_counts():
    """The same pictures right but for two: a small error, which unpaired columns do not have."""
    rng = np.random.default_rng(2)
    a = rng.random((4, 200)) < 0.6
    b = a.copy()
    b[:, :2] = False
    paired, apart = difference(a, b), difference(a, np.roll(b, 7, axis=1))
    assert paired.mean == pytest.approx(apart.mean) and paired.error < apart.error / 2


def test_the_mean_over_sets_is_weighed_once_each():
    found = mean_of([Difference(2.0, 0.3, 4), Difference(0.0, 0.4, 4)])
    assert (found.mean, found.error) == pytest.approx((1.0, 0.25)) and 4 < found.freedom <= 8
    assert found.real and found.detectable > found.half


def test_unpaired_arrays_are_refused():
    with pytest.raises(TfodlError, match=r"needs two arrays \[seeds, pictures\] of one shape"):
        difference(np.ones((2, 3)), np.ones((2, 4)))
    with pytest.raises(TfodlError, match=r"at least \[2, 2\], got \(1, 3\)"):
        difference(np.ones((1, 3)), np.ones((1, 3)))
