"""What a person wrote is told from what autoseg wrote, also where making a plan again was interrupted."""

import pytest

from autoseg.files import discard
from autoseg.plan.plan import Plan, read_plan, read_reasons, write_plan
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.plan_edits import (
    edited_fields,
    edited_in,
    read_planned_reasons,
    replace_plans,
    settle_plans,
)
from tests.autoseg.preprocessing.example_plan import plan


def with_rate(base: Plan, rate: float) -> Plan:
    configuration = base.configurations["3d"]
    training = configuration.training.changed(learning_rate=rate)
    changed = base.configurations | {"3d": configuration.changed(training=training)}
    return base.changed(configurations=changed)


@pytest.fixture
def run(tmp_path) -> RunFolder:
    """A RUN whose person wrote a learning rate."""
    run = RunFolder(tmp_path)
    write_plan(run.planned, plan(), {})
    write_plan(run.plan, with_rate(plan(), 0.123), {})
    return run


def test_edits_are_named_by_field(run) -> None:
    edits = edited_fields(run, read_plan(run.plan))
    assert edits == ("configurations.3d.training.learning_rate",)
    assert edited_in("training", edits, "3d") == {"learning_rate"}
    assert edited_in("prediction", edits, "3d") == edited_in("training", edits, "2d") == frozenset()


@pytest.mark.parametrize("interrupted", ["nowhere", "before plan.yaml", "after plan.yaml"])
def test_an_interrupted_replacement_leaves_edits_what_they_are(run, monkeypatch, interrupted: str) -> None:
    again = plan().changed(planned_again=("3d",))
    followed = with_rate(again, 0.123)
    if interrupted == "nowhere":
        replace_plans(run, again, followed, {})
    else:
        write_plan(run.planned_next, again, {})
        if interrupted == "after plan.yaml":
            write_plan(run.plan, followed, {})
        settle_plans(run)
    assert not run.planned_next.exists()
    assert edited_fields(run, read_plan(run.plan)) == ("configurations.3d.training.learning_rate",)
    assert read_plan(run.planned).planned_again == (() if interrupted == "before plan.yaml" else ("3d",))


def test_a_plan_made_again_says_which_values_are_a_persons(run) -> None:
    rate, steps = "configurations.3d.training.learning_rate", "configurations.3d.training.iterations"
    write_plan(run.planned, plan(), {rate: "a rate", steps: "a length", "seed": "any"})
    write_plan(run.plan, with_rate(plan(), 0.123), {rate: "a rate", steps: "a length", "seed": "my birthday"})
    again = with_rate(plan(), 0.05).changed(planned_again=("3d",))
    replace_plans(run, again, with_rate(again, 0.123), {rate: "another rate", steps: "another length", "seed": "any"})
    assert read_reasons(run.planned) == {rate: "another rate", steps: "another length", "seed": "any"}
    assert read_reasons(run.plan) == {
        rate: "edited by a person; planned: 0.05",
        steps: "another length",
        "seed": "my birthday",
    }
    # once more: what the comment says was planned follows
    third = with_rate(plan(), 0.06).changed(planned_again=("3d", "2d"))
    replace_plans(run, third, with_rate(third, 0.123), read_planned_reasons(run))
    assert read_reasons(run.planned)[rate] == "another rate"
    assert read_reasons(run.plan)[rate] == "edited by a person; planned: 0.06"


def test_a_discarded_folder_is_gone(tmp_path) -> None:
    folder = tmp_path / "fold_0"
    (folder / "checkpoint" / "step_00000001").mkdir(parents=True)
    discard(folder)
    assert list(tmp_path.iterdir()) == []
    discard(folder)
