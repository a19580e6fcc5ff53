import io

import pytest
from rich.console import Console

from trainer.checkpoint import LogRow, Requested, State
from trainer.events import pace, shorten_if_late


def rows(durations: list[float], looked: set[int], steps: int = 10) -> list[LogRow]:
    """Log of epochs of `steps` steps and these seconds; after the epochs `looked` (from 1) whole cases were seen."""
    return [
        LogRow(
            epoch=i,
            step=i * steps,
            learning_rate=1e-3,
            loss=0.5,
            train_dice=0.5,
            val_dice=0.5 if i in looked else None,
            seconds=sum(durations[:i]),
        )
        for i in range(1, len(durations) + 1)
    ]


def state_of(training, log: list[LogRow]) -> State:
    return State(
        step=log[-1].step,
        training=training(iterations=200, iterations_per_epoch=10, validate_every=5),
        requested=Requested(),
        seconds=log[-1].seconds,
        threads=1,
        torch_version="2",
        plan_sha256="",
        rows=log,
    )


def test_a_look_at_whole_cases_is_no_slow_step() -> None:
    assert pace(rows([30, 10, 10, 10, 25], {5})) == pytest.approx((1.0, 15.0))
    assert pace(rows([30], set())) == pytest.approx((3.0, 0.0))
    assert pace(rows([20, 20], {1, 2})) == pytest.approx((2.0, 0.0)), "a look after every epoch"
    assert pace(rows([10] * 6 + [20] * 3, set()))[0] == pytest.approx(2.0), "a machine that slowed down"


@pytest.mark.parametrize(("limit", "ends"), [(245, None), (225, 180), (110, 95)])
def test_a_fold_is_shortened_only_where_it_is_late(training, limit: float, ends: int | None) -> None:
    # 200 steps of a second and three looks of 15 s: 245 s in all, of which 65 s are over after 50 steps
    state = state_of(training, rows([10, 10, 10, 10, 25], {5}))
    shorten_if_late(state, limit, Console(file=io.StringIO()))
    assert (state.events[-1].iterations if state.events else None) == ends
