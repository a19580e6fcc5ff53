"""What is asked of an engine is written down, and its units are handed over; nothing is computed."""

import sys
from types import SimpleNamespace

import pytest

import autoseg
from autoseg.commands.give_to_engine import sizes_of
from autoseg.errors import InputError
from autoseg.run_folder.paths import RunFolder
from autoseg.work.engine import asked_of, read_engine
from autoseg.work.request import read_request
from tests.words import on_one_line


@pytest.fixture
def slurm(monkeypatch):
    """A stand-in for the engine."""
    given = SimpleNamespace(submitted=[])

    def options_of(run, asked):
        if "wrong" in asked.slurm_options:
            raise InputError("--slurm-option wrong")
        return asked

    module = SimpleNamespace(
        options_of=options_of,
        submit=lambda run, units, options: given.submitted.append((run, [unit.name for unit in units], options)),
        scripts_of=lambda run, units, options: f"a script of {len(units)} units",
        cancel=lambda run: ("train-3d-fold_0",),
    )
    monkeypatch.setitem(sys.modules, "autoseg.work.engines.slurm", module)
    return given


def test_a_run_is_given_to_an_engine_and_taken_back(slurm, dataset, tmp_path, capsys):
    run = RunFolder(tmp_path / "run")
    autoseg.run(dataset, run.path, engine="slurm", retries=3, epochs=2, slurm_option=["partition=gpu"])
    request = read_request(run)
    assert request is not None and (request.dataset, request.epochs) == (str(dataset), 2)
    assert (request.configurations, request.folds, request.parts, request.at_once) == (("3d",), 5, 1, 1)
    ((given_run, names, options),) = slurm.submitted
    assert given_run == run and names[0] == "plan" and names[-1] == "report-3d" and len(names) == 9
    assert (options.retries, options.slurm_options) == (3, ("partition=gpu",))
    assert not run.plan.exists()
    assert read_engine(run) == "slurm"
    autoseg.cancel(run.path)
    assert "Taken back: train-3d-fold_0" in on_one_line(capsys.readouterr().out)


def test_a_dry_run_prints_and_sends_nothing(slurm, dataset, tmp_path, capsys):
    autoseg.run(dataset, tmp_path / "run", engine="slurm", dry_run=True)
    assert "a script of 9 units" in capsys.readouterr().out and not slurm.submitted
    assert read_engine(RunFolder(tmp_path / "run")) is None


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"engine": "nonsense"}, "--engine nonsense: unknown; there are local, slurm, ray and ray=ADDRESS"),
        ({"engine": "slurm=here"}, "--engine slurm=here: unknown"),
        ({"engine": "local", "retries": 2}, "--retries: is for --engine slurm and ray alone"),
        ({"engine": "ray", "dry_run": True}, "--dry-run: is for --engine slurm alone"),
        ({"engine": "slurm", "insecure": True}, "--insecure: is for --engine ray alone"),
    ],
)
def test_options_of_other_engines_are_refused(options, told):
    with pytest.raises(InputError, match=told):
        asked_of(**options)


def test_devices_are_of_this_machine(slurm, dataset, tmp_path):
    with pytest.raises(InputError, match="--devices: names devices of this machine"):
        autoseg.run(dataset, tmp_path / "run", engine="slurm", devices=["cpu", "cpu"])


def test_options_are_checked_before_anything_is_written(slurm, dataset, tmp_path):
    for options, told in (
        ({"architecture": "none"}, "--architecture none"),
        ({"replan": True}, "--replan"),
        ({"time_budget": "long"}, "'long' is not a length of time"),
        ({"config": "../x"}, "name"),
        ({"slurm_option": ["wrong"]}, "--slurm-option wrong"),
    ):
        with pytest.raises(InputError, match=told):
            autoseg.run(dataset, tmp_path / "run", engine="slurm", **options)
    assert not (tmp_path / "run").exists() and not slurm.submitted


def test_nothing_is_sent_where_every_unit_is_done(slurm, dataset, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("autoseg.commands.give_to_engine.units_left", lambda run: ())
    autoseg.run(dataset, tmp_path / "a run", engine="slurm")
    told = on_one_line(capsys.readouterr().err)
    assert "Every unit of work is done; nothing is sent." in told and not slurm.submitted
    assert f"autoseg status '{tmp_path}/a run'" in told


def test_the_time_is_divided_among_folds_that_are_trained_at_once(slurm, dataset, tmp_path):
    autoseg.run(dataset, tmp_path / "run", engine="slurm", time_budget="1h")
    request = read_request(RunFolder(tmp_path / "run"))
    assert request is not None and (request.at_once, request.time_budget) == (5, 3600.0)


def test_the_sizes_of_a_run_are_known_without_reading_images(dataset, tmp_path):
    sizes = sizes_of(RunFolder(tmp_path), dataset, ("2d",))
    assert (sizes.folds, sizes.configurations, sizes.cases) == (5, ("2d",), 5)


def test_without_an_engine_cancel_says_what_to_do(calls, run, capsys):
    autoseg.cancel(run.path)
    assert "No process works on this run." in capsys.readouterr().out
