import numpy as np
import pytest
from scipy.stats import bootstrap

from autoseg.metrics.intervals import LEAST_CASES, RESAMPLES, SEED, mean_interval, mean_over_classes_interval


def test_the_interval_of_a_mean_is_scipys() -> None:
    values = np.random.default_rng(1).beta(5, 2, 40)
    expected = bootstrap((values,), np.mean, n_resamples=RESAMPLES, rng=np.random.default_rng(SEED)).confidence_interval
    found = mean_interval(values.tolist())
    assert found is not None and found.n == 40
    assert (found.lower, found.upper) == pytest.approx((expected.low, expected.high))


def test_it_covers_the_mean_about_as_often_as_it_says() -> None:
    """Dice is bounded and skewed: of 200 samples of 40 cases, an interval of 95 % may miss the mean in 5 to 20."""
    random = np.random.default_rng(2)
    inside = 0
    for _ in range(200):
        found = mean_interval(random.beta(5, 2, 40).tolist())
        assert found is not None
        inside += found.lower <= 5 / 7 <= found.upper
    assert 176 <= inside <= 199


def test_few_or_equal_cases_have_none() -> None:
    assert mean_interval([]) is None
    assert mean_interval(list(np.linspace(0, 1, LEAST_CASES - 1))) is None
    assert mean_interval(list(np.linspace(0, 1, LEAST_CASES))) is not None
    assert mean_interval([0.5] * 20) is None


def test_classes_of_a_case_stay_together() -> None:
    """Two equal classes are as uncertain as one; two independent ones are less so by the root of two."""
    random = np.random.default_rng(3)
    one, other = random.beta(5, 2, 60), random.beta(5, 2, 60)
    single = mean_interval(one.tolist())
    twice = mean_over_classes_interval(np.stack([one, one], axis=1))
    both = mean_over_classes_interval(np.stack([one, other], axis=1))
    assert single is not None and twice is not None and both is not None
    assert (twice.lower, twice.upper) == pytest.approx((single.lower, single.upper))
    assert (both.upper - both.lower) / (single.upper - single.lower) == pytest.approx(2**-0.5, rel=0.15)


@pytest.mark.filterwarnings("error")
def test_undefined_values_enter_no_mean() -> None:
    values = np.random.default_rng(4).beta(5, 2, (30, 2))
    values[:2] = np.nan
    values[20:, 1] = np.nan
    found = mean_over_classes_interval(values)
    assert found is not None and found.n == 28
    # a class that few cases define would drop out of many draws
    values[11:, 1] = np.nan
    assert mean_over_classes_interval(values) is None
