"""A plan whose first epochs show another machine is made again: real planning, steps that cost what their work says."""

import sys
from types import SimpleNamespace

import pytest

import autoseg
from autoseg.image.image import Image, write_image
from autoseg.plan.plan import read_plan, read_reasons
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.plan_edits import edited_fields
from autoseg.run_folder.preprocessed_case import read_record
from autoseg.run_folder.step_costs import ReplayedCosts, read_step_costs
from autoseg.run_folder.time_spent import add_time
from autoseg.run_folder.timed_stage import Stage
from tests.autoseg.commands.stand_ins import install
from tests.autoseg.commands.steps import CASES, edit
from tests.autoseg.dataset.build import write_table
from tests.autoseg.small_dataset import draw_case, geometry
from tests.planner.machine import Machine
from tests.words import on_one_line

SLOW = 4e8
"""Multiply-adds a second of a machine on which these small images are much."""


def costs_at(speed: float):
    """What stands in for measuring a step."""
    machine = Machine(speed=speed)
    return lambda plan, configuration, device, threads: machine.cost(plan, configuration)


def size_of(configuration) -> tuple[object, ...]:
    """What a plan is the richer by, in this order."""
    return configuration.network.features[0], -(configuration.spacing[2] or 0), configuration.patch_size


@pytest.fixture
def calls(monkeypatch):
    monkeypatch.setattr("trainer.measure.measure_step", costs_at(SLOW))
    return install(monkeypatch, planning=False)


@pytest.fixture
def run(tmp_path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def start(dataset, run, **options):
    autoseg.run(dataset, run.path, device="cpu", workers=1, time_budget="10m", **options)
    return read_plan(run.plan)


def first_plan(dataset, run):
    autoseg.plan_and_preprocess(dataset, run.path, device="cpu", workers=1, time_budget="10m")
    return read_plan(run.plan)


@pytest.mark.parametrize(("pace", "kind"), [(0.2, "richer"), (4.0, "poorer")])
def test_another_pace_is_planned_for_and_told(calls, dataset, run, capsys, monkeypatch, pace: float, kind: str) -> None:
    monkeypatch.setattr("trainer.measure.measure_step", costs_at(SLOW if kind == "richer" else 10 * SLOW))
    before = first_plan(dataset, run).configurations["3d"]
    calls.paces = [pace, pace]
    plan = start(dataset, run)
    now = plan.configurations["3d"]
    assert size_of(now) > size_of(before) if kind == "richer" else size_of(now) < size_of(before)
    assert f"{kind} than planned" in on_one_line(capsys.readouterr().out)
    assert plan.planned_again == ("3d",)
    assert calls.paces == [pace], "once"
    assert [fold for _, fold, _ in calls.trained] == [0, 0, 1, 2, 3, 4]
    assert read_plan(run.planned) == plan
    assert "planned_again" in read_reasons(run.plan)


def test_cases_whose_spacing_changes_are_preprocessed_again(calls, dataset, run) -> None:
    before = first_plan(dataset, run).configurations["3d"].spacing
    calls.paces = [0.01]
    now = start(dataset, run).configurations["3d"].spacing
    if now == before:
        pytest.skip("structures of this data set allow one spacing alone")
    for case in CASES:
        assert read_record(run.case("3d", case)).spacing == pytest.approx(now)


def test_what_a_person_wrote_stays(calls, dataset, run) -> None:
    first_plan(dataset, run)
    edit(run, r"weight_decay: 0\.01", "weight_decay: 0.0007")
    calls.paces = [0.2]
    plan = start(dataset, run)
    assert plan.planned_again == ("3d",)
    assert plan.configurations["3d"].training.weight_decay == 0.0007
    assert read_plan(run.planned).configurations["3d"].training.weight_decay == 0.01


def test_edits_of_other_configurations_stay_edits(calls, dataset, run) -> None:
    first_plan(dataset, run)
    text = run.plan.read_text(encoding="utf-8")
    place = text.index("\n  2d:")
    run.plan.write_text(
        text[:place] + text[place:].replace("weight_decay: 0.01", "weight_decay: 0.0007", 1), encoding="utf-8"
    )
    calls.paces = [0.2]
    plan = start(dataset, run)
    assert plan.planned_again == ("3d",)
    assert edited_fields(run, plan) == ("configurations.2d.training.weight_decay",)


@pytest.mark.parametrize("pace", [4.0, 0.2])
def test_where_nothing_else_fits_edits_stay_edits_too(calls, dataset, run, monkeypatch, pace: float) -> None:
    # so slow that nothing is cheaper, so quick that nothing is richer
    monkeypatch.setattr("trainer.measure.measure_step", costs_at(SLOW if pace > 1 else 1e14))
    first_plan(dataset, run)
    edit(run, r"weight_decay: 0\.01", "weight_decay: 0.0007")
    calls.paces = [pace]
    plan = start(dataset, run)
    assert plan.planned_again == ("3d",)
    assert edited_fields(run, plan) == ("configurations.3d.training.weight_decay",)


def test_what_another_configuration_took_is_no_reason_to_plan_for_nothing(calls, dataset, run) -> None:
    before = first_plan(dataset, run).configurations["3d"]
    add_time(run, Stage("train", "2d", 0), 100_000)
    calls.paces = [0.2]
    now = start(dataset, run).configurations["3d"]
    assert size_of(now) > size_of(before)


def test_a_network_that_a_person_wrote_is_not_planned_over(calls, dataset, run) -> None:
    before = first_plan(dataset, run)
    edit(run, r"batch_size: 2", "batch_size: 3")
    calls.paces = [0.2]
    plan = start(dataset, run)
    assert plan.planned_again == ()
    assert calls.paces == [0.2], "nobody asked for the pace"
    assert plan.configurations["3d"].network == before.configurations["3d"].network


def test_once_another_fold_has_begun_the_plan_stands(calls, dataset, run) -> None:
    first_plan(dataset, run)
    autoseg.train(run.path, fold=3)
    calls.paces = [0.2]
    assert start(dataset, run).planned_again == ()


def test_epochs_fix_everything(calls, dataset, run) -> None:
    calls.paces = [0.2]
    plan = start(dataset, run, epochs=3, threads=1)
    assert plan.planned_again == () and calls.paces == [0.2]
    assert {options["epochs"] for _, _, options in calls.trained} == {3}
    assert {options["threads"] for _, _, options in calls.trained} == {1}


def test_with_epochs_and_threads_the_plan_asks_no_clock(calls, dataset, tmp_path, monkeypatch) -> None:
    plans = []
    for number, speed in enumerate((SLOW, 100 * SLOW)):
        monkeypatch.setattr("trainer.measure.measure_step", costs_at(speed))
        plans.append(start(dataset, RunFolder(tmp_path / str(number)), epochs=3, threads=1))
    assert plans[0] == plans[1]


def test_the_same_looks_give_the_same_plan(calls, dataset, run, tmp_path, monkeypatch) -> None:
    plan = first_plan(dataset, run)
    costs = read_step_costs(run)
    assert costs is not None and costs.steps
    replayed = ReplayedCosts(costs)
    monkeypatch.setattr("trainer.measure.measure_step", lambda plan, c, device, threads: replayed(plan, c))
    again = first_plan(dataset, RunFolder(tmp_path / "again"))
    ours, theirs = plan.configurations["3d"], again.configurations["3d"]
    assert (ours.network, ours.patch_size, ours.spacing) == (theirs.network, theirs.patch_size, theirs.spacing)


def test_a_budget_too_small_for_anything_says_so_first(calls, dataset, run, capsys) -> None:
    autoseg.run(dataset, run.path, device="cpu", workers=1, time_budget="40s")
    told = on_one_line(capsys.readouterr().out)
    assert "40 s are too little for a useful model" in told
    assert "The least that makes sense for these data on this machine is about --time-budget" in told
    assert told.index("too little") < told.index("Time spent")
    assert len(calls.trained) == 5, "it does what it can"


def two_sequences(folder):
    """Five cases of two sequences, as a table."""
    rows = []
    for i in range(5):
        image, label = draw_case(i)
        row = {"case": f"ball_{i}", "T1": f"{i}_t1.nii.gz", "T2": f"{i}_t2.nii.gz", "label": f"{i}.nii.gz"}
        for name, array in (("T1", image), ("T2", 300 - image), ("label", label)):
            write_image(folder / row[name], Image(array[None], geometry()))
        rows.append(row)
    write_table(folder, rows)
    return folder


def test_in_a_study_every_cell_of_a_dimension_is_planned_again(calls, run, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(
        sys.modules,
        "inference.study.write",
        SimpleNamespace(write_study=lambda *arguments, **options: SimpleNamespace(problems=())),
    )
    monkeypatch.setattr("autoseg.commands.study.print_study", lambda *arguments: None)
    asked = {"sequences": ["T1", "all"], "dimensions": ["2d", "2.5d", "3d"], "time_budget": "60m", "device": "cpu"}
    data = two_sequences(tmp_path / "data")
    calls.paces = [0.1]
    autoseg.study(data, run.path, workers=1, **asked)
    plan = read_plan(run.plan)
    flat = {"2d", "2.5d", "T1.2d", "T1.2.5d", "all.2d", "all.2.5d"}
    assert set(plan.planned_again) == flat, "2.5d has the network of 2d"
    networks = [plan.configurations[name].network for name in sorted(flat)]
    assert networks.count(networks[0]) == len(networks)
    assert [(name, fold) for name, fold, _ in calls.trained][:3] == [("T1.2d", 0), ("T1.2d", 0), ("T1.2d", 1)]
    assert len(calls.trained) == 6 * 5 + 1
    assert all(run.case(plan.preprocessed_as(name), "ball_0").exists() for name in flat)
