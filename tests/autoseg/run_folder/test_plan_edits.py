"""What a person wrote is told from what autoseg wrote, also where making a plan again was interrupted."""

import pytest

from autoseg.plan.plan import read_plan, write_plan
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.plan_edits import edited_fields, edited_in, replace_plans, settle_plans
from tests.example_plan import example_plan, with_training


@pytest.fixture
def run(tmp_path) -> RunFolder:
    """A RUN whose person wrote a learning rate."""
    run = RunFolder(tmp_path)
    write_plan(run.planned, example_plan(), {})
    write_plan(run.plan, with_training(example_plan(), learning_rate=0.123), {})
    return run


def test_edits_are_named_by_field(run) -> None:
    edits = edited_fields(run, read_plan(run.plan))
    assert edits == ("configurations.3d.training.learning_rate",)
    assert edited_in("training", edits, "3d") == {"learning_rate"}
    assert edited_in("prediction", edits, "3d") == edited_in("training", edits, "2d") == frozenset()


@pytest.mark.parametrize("interrupted", ["nowhere", "before plan.yaml", "after plan.yaml"])
def test_an_interrupted_replacement_leaves_edits_what_they_are(run, monkeypatch, interrupted: str) -> None:
    again = example_plan().changed(planned_again=("3d",))
    followed = with_training(again, learning_rate=0.123)
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
