import io

import pytest
from rich.console import Console

from autoseg.commands.messages import say_budget, say_memory, say_other_device, say_plan
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


@pytest.mark.parametrize(
    ("budget", "device", "asked", "made_for"),
    [
        (None, "cuda", None, "no time limit on cuda"),
        (2400.0, "cpu", None, "a run of 40 min (the default on cpu)"),
        (60.0, "cpu", "60s", "a run of 1 min (as asked)"),
    ],
)
def test_epochs_decide_the_length_and_no_time_is_told_that_does_not_hold(
    tmp_path, budget, device, asked, made_for
) -> None:
    run, console = RunFolder(tmp_path), Console(file=io.StringIO(), width=400)
    say_budget(console, budget, device, check_plan_options(asked, None, device, None, epochs=8, elsewhere=True))
    assert f"The plan is made for {made_for}. How long the run takes follows from --epochs 8" in shown(console)
    planned = with_training(of_length(37_500, 300.0), iterations_per_epoch=25)
    write_plan(run.plan, planned, {})
    say_plan(console, run, planned, planned, ["3d"], 5, epochs=8)
    assert "A fold is trained for 200 steps, by --epochs 8; 37,500 are planned." in shown(console)
    assert "real pace affords" not in shown(console)


def test_without_a_limit_it_is_said_how_to_set_one() -> None:
    console = Console(file=io.StringIO(), width=400)
    say_budget(console, None, "cuda", check_plan_options(None, None, "cuda", None))
    assert "No time limit on cuda: the length of training follows from the data set" in shown(console)
    assert "--time-budget" in shown(console)


@pytest.mark.parametrize(("free", "told"), [(24, True), (12, True), (11, False), (None, False)])
def test_memory_that_stays_unused_is_told_with_the_option_that_uses_it(free, told) -> None:
    console = Console(file=io.StringIO(), width=400)
    say_memory(console, example_plan(memory_gb=8.0), None if free is None else free * 2**30)
    assert ("--memory auto" in shown(console)) == told
    assert (f"{free} GB are free" in shown(console)) == told


@pytest.mark.parametrize(("device", "told"), [("cuda", False), ("cpu", True)])
def test_training_on_another_device_than_planned_is_told(tmp_path, device, told) -> None:
    console = Console(file=io.StringIO(), width=400)
    say_other_device(console, RunFolder(tmp_path), example_plan(device="cuda"), device)
    assert ("plan.yaml was made for cuda, and this training runs on cpu" in shown(console)) == told
