"""The study in seconds: a table with a sequence missing, two sets of sequences in 2D and 2.5D, and on from a stop."""

import shutil

import pandas as pd
import pytest

import autoseg
from autoseg.commands import cli
from autoseg.plan.configuration import Configuration
from autoseg.plan.plan import read_plan
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import Split, write_splits
from autoseg.work.request import Request, write_request
from autoseg.work.study_scope import AskedGrid
from autoseg.work.units import units_of
from planner.rules.reference_plan import PlannedDecisions
from tests.end_to_end.test_small_run import CASES, dataset, shrunk

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
__all__ = ["dataset"]

CELLS = ["STIR.2d", "STIR.2.5d", "all.2d", "all.2.5d"]


def shortened(configuration: Configuration) -> Configuration:
    small = shrunk("2d", configuration)
    training = small.training.changed(iterations=80, iterations_per_epoch=40, validate_every=0)
    return small.changed(training=training)


def fit(decisions: PlannedDecisions, *arguments: object, device: str, **options: object) -> PlannedDecisions:
    """In place of planning for the time at hand."""
    planned = {name: shortened(c) for name, c in decisions.plan.configurations.items()}
    plan = decisions.plan.changed(configurations=planned, device=device)
    return PlannedDecisions(plan, decisions.reasons)


def test_a_study_from_a_table_to_its_page(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr("planner.budget.time_budget.fit_to_budget", fit)
    run = RunFolder(tmp_path / "study")
    splits = (Split(train=CASES[:2], val=CASES[2:]), Split(train=CASES[2:], val=CASES[:2]))
    write_splits(run.splits, splits)
    asked = {"sequences": ("STIR", "all"), "dimensions": ("2d", "2.5d")}
    # bits are those of the length and the threads alone
    fixed = {"device": "cpu", "workers": 1, "threads": 2, "epochs": 2}

    def study() -> None:
        autoseg.study(dataset, run.path, **asked, **fixed)

    study()
    plan = read_plan(run.plan)
    assert set(CELLS) < set(plan.configurations)
    assert [p.name for p in (run.path / "preprocessed").iterdir() if p.is_dir()] == ["2d"]
    frame = pd.read_csv(run.study / "results.csv")
    assert list(frame["cell"].unique()) == CELLS
    # case_1 has no STIR
    assert frame.groupby("cell")["case"].nunique().to_dict() == dict(zip(CELLS, (3, 3, 4, 4), strict=True))
    assert frame["dice"].mean() > 0.5
    assert (run.study / "study.html").stat().st_size > 50_000

    weights = run.weights("all.2d", 1)
    before = {cell: run.weights(cell, 0).stat().st_mtime_ns for cell in CELLS}
    learned = weights.read_bytes()
    run.finished("all.2d", 1).unlink()
    weights.unlink()
    study()
    assert {cell: run.weights(cell, 0).stat().st_mtime_ns for cell in CELLS} == before
    assert weights.read_bytes() == learned, "the fold that was lost is learned anew to the same bits"

    # a cell of the same study unit by unit, as an engine does it; the others are taken over
    by_units = RunFolder(tmp_path / "by_units")
    write_splits(by_units.splits, splits)
    write_request(by_units, Request(dataset=str(dataset), grid=AskedGrid(**asked), selects=False, parts=2, **fixed))
    assert cli.status_of(["work", str(by_units.path), "plan"]) == 0
    for cell in CELLS[:-1]:
        for folder in (RunFolder.models, RunFolder.cross_validation):
            shutil.copytree(folder(run, cell), folder(by_units, cell))
    for unit in units_of(by_units)[1:]:
        assert cli.status_of(["work", str(by_units.path), unit.name]) == 0
    for fold in range(2):
        assert by_units.weights(CELLS[-1], fold).read_bytes() == run.weights(CELLS[-1], fold).read_bytes(), fold
    results = (by_units.study / "results.csv").read_bytes()
    assert results == (run.study / "results.csv").read_bytes()
