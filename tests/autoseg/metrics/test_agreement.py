import numpy as np
import pytest

from autoseg.metrics.agreement import _icc, agreement


def test_bias_and_limits_by_hand() -> None:
    found = agreement([10, 20, 30, 40], [12, 19, 33, 44])
    assert found is not None
    assert (found.n, found.bias) == (4, 2)
    sd = np.sqrt((0 + 9 + 1 + 4) / 3)
    assert (found.lower, found.upper) == pytest.approx((2 - 1.96 * sd, 2 + 1.96 * sd))


def test_the_intraclass_correlation_of_the_four_judges_of_shrout_and_fleiss() -> None:
    """Their table 2; table 4 states ICC(2,1) = .29."""
    ratings = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    assert _icc(np.array(ratings, float)) == pytest.approx(0.29, abs=0.005)


def test_the_intraclass_correlation_of_two_judges_of_shrout_and_fleiss() -> None:
    """Their table 2, judges 1 and 4; the expected value follows from the mean squares of a two-way analysis."""
    first, fourth = [9, 6, 8, 7, 10, 6], [8, 2, 6, 5, 9, 7]
    # between cases 7.4833 on 5, between judges 6.75 on 1, error 1.35 on 5 degrees of freedom
    expected = (7.48333333 - 1.35) / (7.48333333 + 1.35 + 2 * (6.75 - 1.35) / 6)
    found = agreement(first, fourth)
    assert found is not None and found.icc == pytest.approx(expected)


def test_the_intraclass_correlation_falls_with_a_bias_and_with_noise() -> None:
    random = np.random.default_rng(0)
    volumes = random.gamma(2, 5, 400)
    same, shifted = agreement(volumes.tolist(), volumes.tolist()), agreement(volumes.tolist(), (volumes + 5).tolist())
    noisy = agreement(volumes.tolist(), (volumes + random.normal(0, volumes.std(), 400)).tolist())
    assert same is not None and shifted is not None and noisy is not None
    assert same.icc == pytest.approx(1)
    # of variance v the bias of 5 leaves v / (v + 25 / 2), noise of the same variance leaves half
    variance = volumes.var(ddof=1)
    assert shifted.icc == pytest.approx(variance / (variance + 12.5), abs=0.01)
    assert noisy.icc == pytest.approx(2 / 3, abs=0.05)


def test_few_cases_and_equal_values() -> None:
    assert agreement([], []) is None
    one = agreement([3], [4])
    assert one is not None and (one.n, one.bias, one.lower, one.icc) == (1, 1, None, None)
    equal = agreement([2, 2, 2], [2, 2, 2])
    assert equal is not None and (equal.bias, equal.lower, equal.upper, equal.icc) == (0, 0, 0, None)
