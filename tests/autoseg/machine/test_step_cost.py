import pytest

from autoseg.machine.step_cost import least_that_repeats


@pytest.mark.parametrize(
    ("looks", "least"),
    [
        ([0.2], None),
        ([0.2, 0.21], 0.2),
        ([0.8, 0.2, 0.21], 0.2),
        ([0.8, 0.82, 0.2], 0.8),
        ([0.1, 0.2, 0.4], None),
        ([0.1, 0.2, 0.22, 0.4, 0.41], 0.2),
    ],
)
def test_the_least_that_repeats(looks: list[float], least: float | None) -> None:
    assert least_that_repeats(looks, 1.15) == least
