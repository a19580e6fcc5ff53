"""What the bar says is left: the time's, not a guess by the speed so far."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from tests.trainer.test_events import rows, state_of
from trainer.patch_growth import NO_GROWTH
from trainer.progress_bar import FoldBar


def shown(state, left_after: float = 0.0, **task) -> str:
    console = Console(file=io.StringIO(), width=200, force_terminal=False)
    settings = {
        "limit": 300.0,
        "seconds": 60.0,
        "length_is_fixed": False,
        "length": 200,
        "index": 2,
        "growth": NO_GROWTH,
    }
    fold = SimpleNamespace(state=state, console=console, **(settings | task))
    with FoldBar(fold, left_after):
        pass
    return " ".join(console.file.getvalue().split())


@pytest.mark.parametrize(
    ("task", "left_after", "left"),
    [
        ({}, 0.0, "4 min left"),
        ({}, 900.0, "4 min left, 19 min of the run"),
        ({"seconds": 400.0}, 0.0, "0 s left"),
        ({"limit": None}, 0.0, "2 min 50 s left"),
        ({"length_is_fixed": True}, 0.0, "2 min 50 s left"),
    ],
)
def test_the_time_left_is_the_budgets_where_there_is_one(training, task, left_after: float, left: str) -> None:
    state = state_of(training, rows([10, 10, 10], set()))
    assert f"step 30/200 loss Dice 0:00:00 {left}" in shown(state, left_after, **task)
