from collections import Counter

import numpy as np
import pytest
from scipy.stats import binomtest

from trainer.data.sequence_dropout import drop_sequences

DRAWS = 3000


def drawn(present: tuple[bool, ...], probability: float) -> list[tuple[bool, ...]]:
    rng = np.random.default_rng(0)
    return [drop_sequences(rng, present, probability) for _ in range(DRAWS)]


@pytest.mark.parametrize("present", [(True, True), (True, False, True), (True,) * 4])
def test_some_are_always_left_and_none_comes_from_nowhere(present: tuple[bool, ...]) -> None:
    for kept in drawn(present, 1.0):
        assert 1 <= sum(kept) < sum(present)
        assert all(there for there, keep in zip(present, kept, strict=True) if keep)


def test_probability_is_that_of_losing_any() -> None:
    lost = sum(kept != (True,) * 3 for kept in drawn((True,) * 3, 0.3))
    assert binomtest(lost, DRAWS, 0.3).pvalue > 1e-3


def test_every_number_and_every_sequence_is_as_likely() -> None:
    found = drawn((True,) * 3, 1.0)
    singles = sum(sum(kept) == 1 for kept in found)
    assert binomtest(singles, DRAWS, 0.5).pvalue > 1e-3
    counts = Counter(kept for kept in found)
    assert len(counts) == 6
    assert all(binomtest(n, DRAWS, 1 / 6).pvalue > 1e-3 for n in counts.values())


@pytest.mark.parametrize("present", [(True,), (False, True, False), (False, False)])
def test_the_only_sequence_is_never_lost(present: tuple[bool, ...]) -> None:
    assert set(drawn(present, 1.0)) == {present}


def test_without_dropout_nothing_goes() -> None:
    assert set(drawn((True, True, False), 0.0)) == {(True, True, False)}
