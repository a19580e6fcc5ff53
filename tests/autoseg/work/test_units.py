"""What a run has to do: before there is a plan, from what was asked for; afterwards with what it takes."""

import pytest

from autoseg.errors import InputError, RunFolderError
from autoseg.plan.plan import write_plan
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import Split, write_splits
from autoseg.work.request import Request, read_request, write_request
from autoseg.work.units import prepared_by, reported_by, trained_in, unit_named, units_of
from tests.example_plan import example_plan

SPLITS = (Split(train=("b", "c"), val=("a",)), Split(train=("a", "c"), val=("b",)), Split(train=("a",), val=("c",)))


@pytest.fixture
def run(tmp_path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def test_a_request_is_read_as_it_was_written(run) -> None:
    request = Request(dataset="/data/spine", configurations=("2d", "3d"), folds=3, parts=2, time_budget=90.0)
    write_request(run, request)
    assert read_request(run) == request
    run.request.write_text('{"dataset": "/data", "nonsense": 1}')
    with pytest.raises(RunFolderError, match=r"request\.json.*nonsense"):
        read_request(run)


def test_units_are_known_before_the_plan_and_each_comes_after_those_that_it_waits_for(run) -> None:
    write_request(run, Request(dataset="/d", configurations=("2d", "3d"), folds=2, parts=2, threads=3, device="cuda:0"))
    units = units_of(run)
    assert [unit.name for unit in units] == [
        "plan",
        "prepare-2d-0of2",
        "prepare-2d-1of2",
        "train-2d-fold_0",
        "train-2d-fold_1",
        "prepare-3d-0of2",
        "prepare-3d-1of2",
        "train-3d-fold_0",
        "train-3d-fold_1",
        "select",
        "report-2d",
        "report-3d",
    ]
    before: set[str] = set()
    for unit in units:
        assert set(unit.waits_for) <= before
        before.add(unit.name)
    by_name = {unit.name: unit for unit in units}
    assert by_name["train-3d-fold_1"].waits_for == ("prepare-3d-0of2", "prepare-3d-1of2")
    assert len(by_name["select"].waits_for) == 4 and "select" in by_name["report-2d"].waits_for
    training = by_name["train-3d-fold_1"].needs
    assert (training.cores, training.gpus, training.memory_bytes, training.seconds) == (3, 1, None, None)
    assert by_name["prepare-3d-0of2"].needs.gpus == 0


def test_names_tell_what_is_done(run) -> None:
    write_request(run, Request(dataset="/d", configurations=("T1+T2_2.5d-a",), folds=2, parts=12))
    units = units_of(run)
    assert prepared_by(unit_named(units, "prepare-T1+T2_2.5d-a-11of12")) == ("T1+T2_2.5d-a", 11, 12)
    assert trained_in(unit_named(units, "train-T1+T2_2.5d-a-fold_1")) == ("T1+T2_2.5d-a", 1)
    assert reported_by(unit_named(units, "report-T1+T2_2.5d-a")) == "T1+T2_2.5d-a"
    with pytest.raises(InputError, match="nonsense: there is no such unit of work; there are plan, "):
        unit_named(units, "nonsense")


def test_nobody_selects_where_nobody_asked_for_it(run) -> None:
    write_request(run, Request(dataset="/d", configurations=("3d",), folds=2, selects=False))
    assert [unit.name for unit in units_of(run)][-2:] == ["train-3d-fold_1", "report-3d"]


def test_a_plan_without_a_request_has_units_too(run) -> None:
    plan = example_plan()
    write_plan(run.plan, plan, {})
    write_splits(run.splits, SPLITS)
    units = units_of(run)
    assert [unit.name for unit in units if unit.kind == "train"] == [f"train-3d-fold_{fold}" for fold in range(3)]
    training = plan.configuration("3d").training
    needs = units[2].needs
    assert needs.memory_bytes is not None and needs.memory_bytes > plan.memory_gb * 2**30
    assert (needs.seconds is None) == (training.seconds is None)
    assert needs.seconds is None or needs.seconds > training.seconds


def test_a_folder_of_something_else_has_none(run) -> None:
    told = r"holds no plan and nothing that was asked for\. `autoseg run` and `autoseg study` make both; if one works"
    with pytest.raises(RunFolderError, match=told):
        units_of(run)
