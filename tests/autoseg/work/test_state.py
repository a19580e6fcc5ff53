"""How far units are is told from few files, however many units and cases there are."""

from collections import Counter

import pytest

from autoseg.commands import do_unit as doing
from autoseg.dataset.fingerprint import write_fingerprint
from autoseg.dataset.record import CaseSource, DatasetRecord, FileRecord
from autoseg.plan.plan import write_plan
from autoseg.run_folder.dataset_record import write_record
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import Split, write_splits
from autoseg.work.request import Request, write_request
from autoseg.work.state import States
from autoseg.work.tries import tried
from autoseg.work.units import units_of
from planner.preprocess import MARKER, DecidedBy, _plan_part
from tests.example_fingerprint import example_case_fingerprint, example_fingerprint
from tests.example_plan import example_plan
from tests.opened_files import opened_files

CASES, PARTS = 30, 16
NAMES = tuple(f"case_{number}" for number in range(CASES))
SCAN = (FileRecord(path="scan.nii.gz", size=1, modified=1, sha256="0" * 64),)
RECORD = DatasetRecord(
    name="example",
    layout="nnunet",
    channels=("T1",),
    ct=(False,),
    labels=example_plan().labels,
    file_ending=".nii.gz",
    cases=tuple(CaseSource(name=name, patient=None, strata={}, images=SCAN, label=None) for name in NAMES),
)


@pytest.fixture
def run(tmp_path) -> RunFolder:
    """A RUN folder with a plan for thirty cases, none of which is prepared."""
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    write_plan(run.plan, example_plan(), {})
    write_splits(run.splits, (Split(train=NAMES[:15], val=NAMES[15:]), Split(train=NAMES[15:], val=NAMES[:15])))
    write_fingerprint(run.fingerprint, example_fingerprint([example_case_fingerprint(name) for name in NAMES]))
    write_record(run, RECORD)
    write_request(run, Request(dataset="/data", configurations=("3d",), folds=2, parts=PARTS))
    return run


def prepare(run: RunFolder, name: str) -> None:
    decided = _plan_part(example_plan(), "3d")
    made_by = DecidedBy(case=name, present=(True,), several_channels_in_one_file=False, sources=SCAN, **decided)
    folder = run.case("3d", name)
    folder.mkdir(parents=True)
    (folder / MARKER).write_text(made_by.model_dump_json())


def words(run: RunFolder) -> dict[str, set[str]]:
    """The states of the units of each kind."""
    states, found = States(run), dict[str, set[str]]()
    for unit in units_of(run, needs_of_cases=False):
        found.setdefault(unit.kind, set()).add(states.of(unit).word)
    return found


def test_each_file_of_the_run_is_read_once_for_the_states_of_many_parts(run) -> None:
    units = units_of(run)
    with opened_files() as opened:
        assert {States(run).of(units[1]).word} == {"ready"}
        one = Counter(path.name for path in opened)
    with opened_files() as opened:
        states = States(run)
        assert {states.of(unit).word for unit in units if unit.kind == "prepare"} == {"ready"}
    many = Counter(path.name for path in opened)
    for file in (run.plan, run.splits, run.dataset, run.request):
        assert many[file.name] == one[file.name] <= 2, file


def test_the_fingerprint_is_read_once_for_the_needs_of_all_parts_and_not_where_nobody_asks(run) -> None:
    with opened_files() as opened:
        units = units_of(run)
    assert opened.count(run.fingerprint) == 1
    with opened_files() as opened:
        without = units_of(run, needs_of_cases=False)
    assert opened.count(run.fingerprint) == 0
    assert [(unit.name, unit.waits_for) for unit in units] == [(unit.name, unit.waits_for) for unit in without]
    assert [unit.needs.memory_bytes is None for unit in units if unit.kind == "prepare"] == [False] * PARTS
    assert all(unit == other for unit, other in zip(units, without, strict=True) if unit.kind != "prepare")


def test_no_case_is_opened_while_one_is_missing_and_each_once_when_all_are_there(run) -> None:
    for name in NAMES[:-1]:
        prepare(run, name)
    with opened_files() as opened:
        assert words(run)["prepare"] == {"ready"} and words(run)["train"] == {"waiting"}
    assert not [path for path in opened if path.name == MARKER]
    # what a process of another machine is at is no case
    (run.preprocessed("3d") / f".{NAMES[-1]}.held").mkdir()
    with opened_files() as opened:
        assert words(run)["prepare"] == {"ready"}
    assert not [path for path in opened if path.name == MARKER]
    prepare(run, NAMES[-1])
    with opened_files() as opened:
        assert words(run)["prepare"] == {"done"}
    assert Counter(path.parent.name for path in opened if path.name == MARKER) == dict.fromkeys(NAMES, 1)


def test_a_case_by_another_plan_is_not_prepared(run) -> None:
    for name in NAMES:
        prepare(run, name)
    marker = run.case("3d", NAMES[7]) / MARKER
    marker.write_text(marker.read_text().replace('"seed":', '"seed":9'))
    assert words(run)["prepare"] == {"ready"}


def test_a_training_begins_without_a_look_at_the_cases_where_units_prepared_them(run, monkeypatch) -> None:
    began = []
    monkeypatch.setattr(doing, "_do", lambda *arguments, **_: began.append(arguments))
    for unit in units_of(run):
        if unit.kind == "prepare":
            with tried(run, unit.name):
                pass
    with opened_files() as opened:
        doing.do_unit(run, "train-3d-fold_0")
    assert len(began) == 1
    assert not [path for path in opened if path.name == MARKER or path == run.fingerprint]
