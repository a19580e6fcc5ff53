"""Options beside an existing plan: `--align first` means what it meant when the plan was made."""

from pathlib import Path

import pytest

from autoseg.commands.plan_options import check_plan_options, refuse_other_plan
from autoseg.dataset.record import CaseSource, DatasetRecord
from autoseg.errors import RunFolderError
from autoseg.run_folder.dataset_record import write_record
from autoseg.run_folder.paths import RunFolder
from tests.example_plan import LABELS, example_channel, example_plan

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
