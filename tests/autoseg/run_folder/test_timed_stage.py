import pytest

from autoseg.run_folder.time_spent import TimeSpent
from autoseg.run_folder.timed_stage import Stage, stage_of
from tests.example_plan import example_plan

WRITTEN = {
    "check": Stage("check"),
    "fingerprint": Stage("fingerprint"),
    "plan": Stage("plan"),
    "preprocess 3d": Stage("preprocess", "3d"),
    "train 3d fold 0": Stage("train", "3d", 0),
    "train T1+T2.2.5d fold 12": Stage("train", "T1+T2.2.5d", 12),
    "train 3d fold 0, before planning again": Stage("train", "3d", 0, before_planning_again=True),
    "train T1 fold 2 years later.3d fold 1": Stage("train", "T1 fold 2 years later.3d", 1),
    "look ahead at report 3d": Stage("look ahead at report", "3d"),
    "report 3d": Stage("report", "3d"),
    "study report": Stage("study report"),
    "select": Stage("select"),
}
"""What RUN folders hold, text by text."""


@pytest.mark.parametrize(("text", "stage"), WRITTEN.items())
def test_each_stage_has_one_text(text: str, stage: Stage) -> None:
    assert stage_of(text) == stage
    assert stage.text == text


def test_a_stage_of_another_release_counts_for_the_total_alone() -> None:
    spent = TimeSpent(seconds={"wash 3d": 5.0, "plan": 2.0})
    assert stage_of("wash 3d") is None
    assert (spent.total, spent.by_stage) == (7.0, {Stage("plan"): 2.0})


def test_a_run_has_its_own_configurations_time_and_what_all_share() -> None:
    example = example_plan()
    planned = example.changed(configurations=dict.fromkeys(("2d", "3d", "T1 post.2d"), example.configuration("3d")))
    seconds = {
        "check": 1.0,
        "train 2d fold 0": 2.0,
        "train 3d fold 0": 4.0,
        "train 3d fold 0, before planning again": 8.0,
        "look ahead at report 3d": 16.0,
        "train T1 post.2d fold 1": 32.0,
        "preprocess 2d": 64.0,
    }
    spent = TimeSpent(seconds=seconds)
    assert spent.of_run(planned, ["3d"]) == 1 + 4 + 8 + 16
    assert spent.of_run(planned, ["2d"]) == 1 + 2 + 64
    assert spent.of_run(planned, tuple(planned.configurations)) == spent.total
    assert spent.of(Stage("train", "3d", 0)) == 4.0
    assert spent.of(Stage("train", "3d", 1)) == 0.0
