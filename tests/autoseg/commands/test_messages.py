import io

import pytest
from rich.console import Console

from autoseg.commands.messages import say_budget, say_plan
from autoseg.commands.plan_options import check_plan_options
from autoseg.plan.plan import Plan, write_plan
from autoseg.run_folder.paths import RunFolder
from tests.example_plan import example_plan, with_training

REASON = "600 passes over the data set's [31] million voxels"


def shown(console: Console) -> str:
    return " ".join(console.file.getvalue().split())


def of_length(iterations: int, seconds: float | None) -> Plan:
    plan = example_plan(time_budget_seconds=seconds and 10 * seconds)
    return with_training(plan, iterations=iterations, seconds=seconds)


@pytest.mark.parametrize("seconds", [None, 300.0])
def test_the_length_of_training_is_stated_with_the_plan(tmp_path, seconds) -> None:
    run, console = RunFolder(tmp_path), Console(file=io.StringIO(), width=400)
    planned = of_length(37_500, seconds)
    write_plan(run.plan, planned, {"configurations.3d.training.iterations": REASON})
    say_plan(console, run, planned, planned, ["3d"], 5)
    without_limit = f"A fold is trained for 37,500 steps: {REASON}."
    assert (without_limit in shown(console)) == (seconds is None)
    assert ("A fold is trained for 5 min" in shown(console)) == (seconds is not None)


def test_without_a_limit_it_is_said_how_to_set_one() -> None:
    console = Console(file=io.StringIO(), width=400)
    say_budget(console, None, "cuda", check_plan_options(None, None, "cuda", None))
    assert "No time limit on cuda: the length of training follows from the data set" in shown(console)
    assert "--time-budget" in shown(console)
