from pathlib import Path

import pytest

from autoseg.errors import RunFolderError
from autoseg.plan.plan import Plan
from autoseg.run_folder.fold_cases import splits_of_configuration
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import Split
from tests.example_plan import example_channel, example_plan
from tests.example_record import example_geometry, example_record

SPLITS = (Split(train=("a", "b"), val=("c",)), Split(train=("b", "c"), val=("a",)))
PRESENT = {"a": (True, True), "b": (True, False), "c": (False, True)}


def planned(sequences: tuple[str, ...] | None) -> Plan:
    whole = example_plan(channels=(example_channel("T1"), example_channel("STIR")))
    cell = whole.configurations["3d"].changed(sequences=sequences, preprocessed_as="3d")
    return whole.changed(configurations=whole.configurations | {"cell": cell})


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path)
    for name, present in PRESENT.items():
        folder = run.case("3d", name)
        folder.mkdir(parents=True)
        record = example_record(example_geometry((4, 4, 4)), case=name, present=present)
        (folder / "case.json").write_text(record.model_dump_json(), encoding="utf-8")
    return run


def test_cases_without_any_of_the_sequences_are_left_out(run: RunFolder) -> None:
    assert splits_of_configuration(run, planned(("STIR",)), "cell", SPLITS) == (
        Split(train=("a",), val=("c",)),
        Split(train=("c",), val=("a",)),
    )
    assert splits_of_configuration(run, planned(("T1",)), "cell", SPLITS) == (
        Split(train=("a", "b"), val=()),
        Split(train=("b",), val=("a",)),
    )


def test_one_of_several_sequences_is_enough(run: RunFolder) -> None:
    assert splits_of_configuration(run, planned(("T1", "STIR")), "cell", SPLITS) == SPLITS


def test_where_all_sequences_are_seen_no_case_is_read(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "nothing")
    assert splits_of_configuration(run, planned(None), "cell", SPLITS) == SPLITS
    with pytest.raises(RunFolderError, match="not preprocessed"):
        splits_of_configuration(run, planned(("T1",)), "cell", SPLITS)
