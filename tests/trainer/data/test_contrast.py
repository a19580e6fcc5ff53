import numpy as np
import pytest
from scipy.ndimage import zoom
from scipy.stats import spearmanr

from trainer.data.contrast import FALLING, ContrastMap, apply_field, apply_map, draw_field, draw_map


@pytest.fixture
def channel() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((12, 14, 16)).astype(np.float32)


@pytest.mark.parametrize(("heights", "order"), [((0, 0.1, 0.2, 0.9, 1), 1), ((1, 0.5, 0.4, 0.3, 0), -1)])
def test_a_map_keeps_or_inverts_the_order_of_intensities_and_keeps_their_statistics(channel, heights, order) -> None:
    mapped = apply_map(channel, ContrastMap(heights))
    inside = (channel > np.percentile(channel, 1.5)) & (channel < np.percentile(channel, 98.5))
    assert spearmanr(channel[inside], mapped[inside]).statistic == pytest.approx(order, abs=1e-6)
    assert mapped.mean() == pytest.approx(channel.mean(), abs=1e-5) and mapped.dtype == np.float32
    assert mapped.std() == pytest.approx(channel.std(), rel=1e-5)


def test_a_straight_map_changes_nothing_but_the_outermost_values() -> None:
    ramp = np.linspace(-2, 3, 1001, dtype=np.float32).reshape(7, 11, 13)
    mapped = apply_map(ramp, ContrastMap((0, 0.25, 0.5, 0.75, 1)))
    inside = (ramp > -1.9) & (ramp < 2.9)
    # restoring the statistics stretches a little, as the outermost values are clipped
    np.testing.assert_allclose(mapped[inside], ramp[inside], atol=0.02)


def test_maps_go_from_end_to_end_and_a_third_of_them_falls() -> None:
    rng = np.random.default_rng(0)
    drawn = [np.array(draw_map(rng).heights) for _ in range(600)]
    falling = [bool(heights[0] > heights[-1]) for heights in drawn]
    assert np.mean(falling) == pytest.approx(FALLING, abs=0.06)
    for heights, falls in zip(drawn, falling, strict=True):
        assert sorted((heights[0], heights[-1])) == pytest.approx([0, 1])
        assert (np.diff(heights) * (-1 if falls else 1) >= 0).all()


def test_a_field_agrees_with_scipy_and_leaves_no_signal_as_it_is(channel) -> None:
    logarithm = draw_field(np.random.default_rng(1))
    factors = [n / 4 for n in channel.shape]
    expected = zoom(logarithm, factors, order=1, grid_mode=False)
    above = channel - channel.min()
    np.testing.assert_allclose(
        apply_field(channel, logarithm) - channel.min(), above * np.exp(expected), rtol=1e-4, atol=1e-5
    )


def test_a_constant_channel_stays_as_it_is() -> None:
    flat = np.full((4, 4, 4), 2.5, np.float32)
    np.testing.assert_array_equal(apply_map(flat, ContrastMap((0, 0.2, 0.3, 0.5, 1))), flat)
    np.testing.assert_array_equal(apply_field(flat, draw_field(np.random.default_rng(0))), flat)
