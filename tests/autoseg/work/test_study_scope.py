"""What a study has to do: before there is a plan, from what was asked for; afterwards by plan and fingerprint."""

import pytest

from autoseg.dataset.fingerprint import write_fingerprint
from autoseg.errors import PlanError
from autoseg.files import write_text
from autoseg.plan.plan import Plan, write_plan
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import Split, write_splits
from autoseg.work.engines.slurm_jobs import jobs_of
from autoseg.work.request import Request, read_request, write_request
from autoseg.work.state import States, state_of
from autoseg.work.study_scope import AskedGrid
from autoseg.work.tries import tried
from autoseg.work.units import prepared_by, scope_of, trained_in, unit_named, units_of
from tests.example_fingerprint import example_case_fingerprint, example_fingerprint
from tests.example_fold import finished_fold
from tests.example_plan import example_channel, example_configuration, example_plan, flat_changes

SPLITS = (
    Split(train=("b", "c", "d"), val=("a",)),
    Split(train=("a", "c", "d"), val=("b",)),
    Split(train=("a", "b"), val=("c", "d")),
)
CELLS = ("T1.2d", "T1.2.5d", "T1.3d", "T1+T2.2d", "T1+T2.2.5d", "T1+T2.3d")
ASKED = AskedGrid(sequences=("T1", "T1+T2"), dimensions=("2d", "2.5d", "3d"))


def study_plan(**sequences_of: tuple[str, ...]) -> Plan:
    """A plan whose cells of 2d and 2.5d share the cases of 2d."""
    homes = {"2d": "2d", "2.5d": "2d", "3d": "3d"}
    flat = example_configuration(**flat_changes(0))
    of_dimension = {"2d": flat, "2.5d": flat.changed(preprocessed_as="2d"), "3d": example_configuration()}
    configurations = dict(of_dimension)
    for label, sequences in sequences_of.items():
        for name, one in of_dimension.items():
            configurations[f"{label}.{name}"] = one.changed(sequences=sequences, preprocessed_as=homes[name])
    channels = (example_channel("T1"), example_channel("T2"))
    return example_plan(channels=channels, configurations=configurations)


@pytest.fixture
def run(tmp_path) -> RunFolder:
    """Asked for, and not planned."""
    run = RunFolder(tmp_path / "study")
    write_request(run, Request(dataset="/d", configurations=CELLS, grid=ASKED, folds=3, parts=2, selects=False))
    return run


@pytest.fixture
def planned(run) -> RunFolder:
    """Cases a and d have no T1."""
    write_plan(run.plan, study_plan(**{"T1": ("T1",), "T1+T2": ("T1", "T2")}), {})
    write_splits(run.splits, SPLITS)
    has = {"a": (False, True), "b": (True, True), "c": (True, True), "d": (False, True)}
    cases = [example_case_fingerprint(name, present=present) for name, present in has.items()]
    write_fingerprint(run.fingerprint, example_fingerprint(cases, channels=("T1", "T2")))
    return run


def names(run: RunFolder, kind: str) -> list[str]:
    return [unit.name for unit in units_of(run) if unit.kind == kind]


def test_a_grid_is_read_as_it_was_written_and_older_files_have_none(run) -> None:
    request = read_request(run)
    assert request is not None and request.grid == ASKED
    run.request.write_text('{"schema_version": 1, "dataset": "/d", "configurations": ["3d"]}', encoding="utf-8")
    older = read_request(run)
    assert older is not None and older.grid is None
    assert not names(run, "study") and names(run, "report") == ["report-3d"]


def test_before_the_plan_each_dimension_is_prepared_and_every_fold_is_counted(run) -> None:
    assert names(run, "prepare") == [f"prepare-{name}-{part}of2" for name in ("2d", "2.5d", "3d") for part in range(2)]
    assert names(run, "train") == [f"train-{cell}-fold_{fold}" for cell in CELLS for fold in range(3)]


def test_cells_that_nobody_wrote_down_are_known_with_the_plan(run) -> None:
    write_request(run, Request(dataset="/d", grid=ASKED, selects=False))
    assert [unit.name for unit in units_of(run)] == ["plan", "study"]


def test_cells_that_share_cases_wait_for_one_preparation(planned) -> None:
    assert names(planned, "prepare") == [f"prepare-{name}-{part}of2" for name in ("2d", "3d") for part in range(2)]
    units = {unit.name: unit for unit in units_of(planned)}
    for cell, source in (("T1.2d", "2d"), ("T1+T2.2.5d", "2d"), ("T1.3d", "3d")):
        assert units[f"train-{cell}-fold_1"].waits_for == (f"prepare-{source}-0of2", f"prepare-{source}-1of2")
    assert prepared_by(units["prepare-2d-1of2"]) == ("2d", 1, 2)
    assert trained_in(units["train-T1+T2.2.5d-fold_2"]) == ("T1+T2.2.5d", 2)


def test_folds_without_a_case_of_the_cell_are_left_out(planned) -> None:
    of_t1 = [name for name in names(planned, "train") if name.startswith("train-T1.3d")]
    # the first fold would be validated on case a alone, which has no T1
    assert of_t1 == ["train-T1.3d-fold_1", "train-T1.3d-fold_2"]
    assert sum(name.startswith("train-T1+T2.3d") for name in names(planned, "train")) == 3


def test_the_results_wait_for_the_end_of_every_training_and_not_for_its_success(planned) -> None:
    *_, last = units_of(planned)
    assert (last.name, last.kind, last.waits_for) == ("study", "study", ("plan",))
    assert list(last.after_end_of) == names(planned, "train")
    jobs = jobs_of(units_of(planned))
    assert [job.name for job in jobs][:4] == ["plan", "prepare-2d-%aof2", "prepare-3d-%aof2", "train-T1.2d-fold_%a"]
    assert len(jobs) == 3 + len(CELLS) + 1 and jobs[-1].after_end_of == last.after_end_of


def test_part_of_the_grid_may_be_asked_for(planned) -> None:
    asked = AskedGrid(sequences=("T1+T2",), dimensions=("3d",))
    write_request(planned, Request(dataset="/d", grid=asked, selects=False))
    assert names(planned, "train") == [f"train-T1+T2.3d-fold_{fold}" for fold in range(3)]
    assert names(planned, "prepare") == ["prepare-3d-0of1"]
    write_request(planned, Request(dataset="/d", grid=AskedGrid(sequences=("T2",)), selects=False))
    with pytest.raises(PlanError, match=r"T2\.2d"):
        units_of(planned)


def test_a_study_that_nobody_asked_for_has_units_too(planned) -> None:
    planned.request.unlink()
    assert scope_of(planned).configurations == CELLS and names(planned, "study") == ["study"]


def test_the_results_are_done_once_they_show_every_training(planned) -> None:
    assert state_of(planned, unit_named(units_of(planned), "study")).why.startswith("for train-T1.2d-fold_1, ")
    trainings = [trained_in(unit) for unit in units_of(planned) if unit.kind == "train"]
    for name, fold in trainings[1:]:
        write_text(planned.finished(name, fold), finished_fold(fold, SPLITS[fold]).sealed_json())
    with tried(planned, "study"):
        write_text(planned.study / "study.html", "")
    unit = unit_named(units_of(planned), "study")
    found = state_of(planned, unit)
    assert (found.word, found.tries) == ("waiting", 1)
    assert found.why == f"for train-T1.2d-fold_1; {planned.study} shows what is finished"
    write_text(planned.finished(*trainings[0]), finished_fold(1, SPLITS[1]).sealed_json())
    assert state_of(planned, unit).word == "ready" and not States(planned).is_done(unit)
    with tried(planned, "study"):
        pass
    assert States(planned).is_done(unit)
