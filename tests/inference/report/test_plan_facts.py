"""The report gives autoseg's reason beside autoseg's value, and says of a person's value that it was edited."""

import pytest

from autoseg.plan.plan import read_plan, read_reasons, write_plan
from autoseg.run_folder.finished_fold import Finished, write_finished
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import Split
from inference.report.run_facts import run_facts
from tests.example_plan import example_plan

REASONS = {
    "configurations.3d.training.optimizer": "nnU-Net's optimiser",
    "configurations.3d.training.learning_rate": "nnU-Net's rate",
    "configurations.3d.training.iterations": "600 passes",
    "configurations.3d.network.features": "doubled at each stage",
    "configurations.3d.spacing": "the median",
    "channels": "z-score by each image",
    "device": "where the plan was made for",
}


@pytest.fixture
def run(tmp_path) -> RunFolder:
    """A RUN as autoseg planned it."""
    run = RunFolder(tmp_path)
    for path in (run.planned, run.plan):
        write_plan(path, example_plan(), REASONS)
    return run


def edit(run: RunFolder, before: str, after: str) -> None:
    """Change a value in `plan.yaml` as a person would: the comment at the end of its line stays."""
    text = run.plan.read_text(encoding="utf-8")
    assert text.count(before) == 1
    run.plan.write_text(text.replace(before, after), encoding="utf-8")


def reasons(run: RunFolder) -> dict[str, str]:
    """What the report gives as reasons, by line."""
    return {fact.what: fact.reason for fact in run_facts(run, read_plan(run.plan), "3d", ()).plan}


def test_without_edits_the_reasons_are_autosegs(run) -> None:
    told = reasons(run)
    assert told["optimiser"] == "nnU-Net's optimiser"
    assert told["training steps of a fold"] == "600 passes"
    assert told["normalisation"] == "z-score by each image"
    assert not any("edited" in reason for reason in told.values())
    assert "patches that lose sequences" not in told and "time budget" not in told


def test_an_edited_field_loses_autosegs_reason_and_no_other_does(run) -> None:
    before = reasons(run)
    edit(run, "learning_rate: 0.01 ", "learning_rate: 0.003 ")
    assert read_reasons(run.plan)["configurations.3d.training.learning_rate"] == "nnU-Net's rate"
    told = reasons(run)
    assert told.pop("optimiser") == "edited by a person; planned: sgd, peak learning rate 0.01"
    assert told == {line: reason for line, reason in before.items() if line != "optimiser"}


@pytest.mark.parametrize(
    ("before", "after", "line", "planned"),
    [
        ("spacing: [1.0, 1.0, 1.0]", "spacing: [2.0, 2.0, 1.0]", "voxel size for training (z, y, x)", "1 × 1 × 1 mm"),
        (
            "features: [4, 8]",
            "features: [4, 24]",
            "network",
            "plain U-Net, 2 stages of 4 – 8 features, pooled 2 × 2 × 2",
        ),
        ("device: cpu", "device: cuda", "planned for", "cpu, 8 GB"),
        ("normalization: z_score", "normalization: ct", "normalisation", "z_score"),
        ("sequence_dropout: 0.0", "sequence_dropout: 0.5", "patches that lose sequences", "0%"),
        ("time_budget_seconds:", "time_budget_seconds: 2400", "time budget", "no limit"),
    ],
)
def test_an_edited_line_names_what_was_planned(run, before: str, after: str, line: str, planned: str) -> None:
    edit(run, before, after)
    assert reasons(run)[line] == f"edited by a person; planned: {planned}"


def test_an_edit_that_the_line_does_not_show_is_told_too(run) -> None:
    edit(run, "spacing: [1.0, 1.0, 1.0]", "spacing: [1.0001, 1.0, 1.0]")
    assert reasons(run)["voxel size for training (z, y, x)"] == "edited by a person"


def test_an_edit_that_was_undone_is_none(run) -> None:
    before = reasons(run)
    write_plan(run.plan, example_plan(), {"configurations.3d.training.iterations": "edited by a person; planned: 1"})
    assert reasons(run) == before


def test_without_the_plan_as_made_the_comments_are_the_reasons(run) -> None:
    run.planned.unlink()
    edit(run, "learning_rate: 0.01 ", "learning_rate: 0.003 ")
    assert reasons(run)["optimiser"] == "nnU-Net's optimiser"


@pytest.mark.parametrize(
    ("way", "told"), [("workers", "cuda:0, bfloat16, torch 2"), ("device", "augmented on the device")]
)
def test_a_fold_tells_its_device_and_whether_it_augmented_the_patches(run, way: str, told: str) -> None:
    finished = Finished(
        fold=0,
        steps=12,
        seconds_training=1.0,
        seconds_validation=1.0,
        device="cuda:0",
        threads=1,
        torch_version="2",
        precision="bfloat16",
        augment_on=way,
        events=(),
        dice={},
        classes=(),
    )
    write_finished(run, "3d", 0, finished)
    (fold,) = run_facts(run, read_plan(run.plan), "3d", (Split(train=("a",), val=("b",)),)).folds
    assert told in fold.device and fold.device.startswith("cuda:0, bfloat16, ")
