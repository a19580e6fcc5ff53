"""Options beside an existing plan: `--align first` means what it did then, and with epochs no time has to suffice."""

from pathlib import Path

import pytest

from autoseg.commands.plan_options import check_plan_options, refuse_other_plan
from autoseg.dataset.record import CaseSource, DatasetRecord
from autoseg.errors import RunFolderError
from autoseg.run_folder.dataset_record import write_record
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import Split, write_splits
from tests.example_plan import LABELS, example_channel, example_plan, with_training

PLAN = example_plan(channels=(example_channel("T1"), example_channel("T2")), align="T2")


def recorded(folder: Path, *drawn_on: str | None) -> RunFolder:
    cases = tuple(
        CaseSource(name=f"case{i}", patient=None, strata={}, images=(), label=None, drawn_on=one)
        for i, one in enumerate(drawn_on)
    )
    run = RunFolder(folder)
    record = DatasetRecord(
        name="a", layout="table", channels=("T1", "T2"), ct=(False, False), labels=LABELS, file_ending="", cases=cases
    )
    write_record(run, record)
    return run


def asked(run: RunFolder, align: str) -> None:
    refuse_other_plan(run, check_plan_options(None, None, "auto", None, align=align), PLAN, ())


@pytest.mark.parametrize("drawn_on", [("T2", "T1", "T2"), ("T1", "T1", "T2"), (None, None)])
def test_first_is_the_sequence_that_most_labels_were_drawn_on(tmp_path: Path, drawn_on: tuple[str | None, ...]) -> None:
    run = recorded(tmp_path / "run", *drawn_on)
    asked(run, "t2")
    for align in ("T1", "none", *(["first"] if drawn_on != ("T2", "T1", "T2") else [])):
        with pytest.raises(RunFolderError, match=f"with align: T2, not {align}"):
            asked(run, align)
    if drawn_on == ("T2", "T1", "T2"):
        asked(run, "First")


def test_two_configurations_need_time_for_both_unless_epochs_decide(tmp_path: Path) -> None:
    run, plan = RunFolder(tmp_path / "run"), with_training(PLAN, seconds=100.0)
    plan = plan.changed(
        configurations={"2d": plan.configuration("3d"), "3d": plan.configuration("3d")}, time_budget_seconds=300.0
    )
    write_splits(run.splits, (Split(train=("a",), val=("b",)), Split(train=("b",), val=("a",))))
    with pytest.raises(RunFolderError, match="without time for 2d and 3d together"):
        refuse_other_plan(run, check_plan_options(None, None, "cpu", None), plan, ("2d", "3d"))
    refuse_other_plan(run, check_plan_options(None, None, "cpu", None, epochs=2), plan, ("2d", "3d"))
