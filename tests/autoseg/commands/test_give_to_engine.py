"""What is asked of an engine is written down, and its units are handed over; nothing is computed."""

import os
import shutil
import sys
from types import SimpleNamespace

import pytest

import autoseg
from autoseg.commands.do_unit import do_unit
from autoseg.commands.give_to_engine import sizes_of
from autoseg.errors import InputError, RunFolderError
from autoseg.image.image import Image, write_image
from autoseg.plan.plan import read_plan, write_plan
from autoseg.run_folder.lock import LockedByAnother
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import read_splits
from autoseg.work.at_work import refuse_other_request
from autoseg.work.engine import asked_of, read_engine
from autoseg.work.request import read_request
from autoseg.work.state import state_of, units_left
from autoseg.work.units import units_of
from tests.autoseg.small_dataset import describe, draw_case, geometry
from tests.words import on_one_line


@pytest.fixture
def slurm(monkeypatch):
    """A stand-in for the engine."""
    given = SimpleNamespace(submitted=[], held=())

    def options_of(run, asked):
        if "wrong" in asked.slurm_options:
            raise InputError("--slurm-option wrong")
        return asked

    module = SimpleNamespace(
        options_of=options_of,
        submit=lambda run, units, options: given.submitted.append((run, [unit.name for unit in units], options)),
        scripts_of=lambda run, units, options, written, removed, follow_links: (
            f"a script of {len(units)} units, which writes {[path.name for path in written]} {written[run.request]}"
        ),
        cancel=lambda run: ("train-3d-fold_0",),
        held=lambda run: given.held,
        in_queue=lambda run, states: {},
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


def test_a_dry_run_prints_and_neither_sends_nor_writes(slurm, dataset, tmp_path, capsys):
    autoseg.run(dataset, tmp_path / "run", engine="slurm", dry_run=True, epochs=3)
    told = capsys.readouterr().out
    assert "a script of 9 units, which writes ['request.json']" in told and '"epochs": 3' in told
    assert not slurm.submitted and not (tmp_path / "run").exists()


@pytest.fixture
def own(dataset, run, tmp_path):
    """A data set of the test's own, as `run` was planned for: a copy with the same times."""
    return shutil.copytree(dataset, tmp_path / "own")


def given(slurm, own, run, **options) -> list[str]:
    """Units that are given when a run is given to Slurm."""
    autoseg.run(own, run.path, engine="slurm", **options)
    return slurm.submitted[-1][1]


def change(own, what: str) -> None:
    """Change the data set: a new image or label of a case, a new case, or a case less."""
    image, label = draw_case(7)
    name = "ball_5" if what == "added" else "ball_2"
    if what in ("image", "added"):
        write_image(own / "imagesTr" / f"{name}_0000.nii.gz", Image(image[None], geometry()))
    if what in ("label", "added"):
        write_image(own / "labelsTr" / f"{name}.nii.gz", Image(label[None], geometry()))
    if what == "gone":
        for file in (own / "imagesTr" / "ball_2_0000.nii.gz", own / "labelsTr" / "ball_2.nii.gz"):
            file.unlink()
    describe(own, {"added": 6, "gone": 4}.get(what, 5))


@pytest.mark.parametrize("what", ["image", "label", "added", "gone"])
def test_a_data_set_that_changed_since_it_was_planned_for_is_read_again(calls, slurm, own, run, tmp_path, capsys, what):
    assert given(slurm, own, run)[0] == "train-3d-fold_0"
    change(own, what)
    before = sorted(tmp_path.rglob("*"))
    autoseg.run(own, run.path, engine="slurm", dry_run=True)
    assert "of 1 units, which writes ['request.json', 'dataset.changed']" in capsys.readouterr().out
    assert sorted(tmp_path.rglob("*")) == before
    assert given(slurm, own, run)[:2] == ["plan", "prepare-3d-0of1"]
    changed = "ball_5" if what == "added" else "ball_2"
    assert f"not as it was when the plan was made ({changed})" in on_one_line(capsys.readouterr().err)
    # what the units do is what a plain run does
    do_unit(run, "plan")
    prepared = "train-3d-fold_0" if what == "gone" else "prepare-3d-0of1"
    assert next(unit.name for unit in units_left(run)) == prepared
    do_unit(run, "prepare-3d-0of1")
    plain = RunFolder(tmp_path / "plain")
    autoseg.plan_and_preprocess(own, plain.path, device="cpu", workers=1)
    # a plan of the same data has its own reasons and measurements, and the same spacing, patches and channels
    assert read_plan(run.plan).channels == read_plan(plain.plan).channels
    assert read_splits(run.splits) == read_splits(plain.splits)
    cases = [
        {
            path.relative_to(one.preprocessed("3d")): path.read_bytes()
            for path in one.preprocessed("3d").glob("*/label.b2nd")
        }
        for one in (run, plain)
    ]
    assert cases[0] == cases[1] and len(cases[0]) == {"added": 6, "gone": 4}.get(what, 5)
    assert given(slurm, own, run)[0] == "train-3d-fold_0"


def test_a_change_that_trained_models_do_not_fit_is_refused_by_the_unit_that_plans(calls, slurm, own, run):
    autoseg.train(run.path, fold=1)
    change(own, "label")
    assert given(slurm, own, run)[0] == "plan"
    with pytest.raises(RunFolderError, match=r"the data set has changed.*3d fold 1"):
        do_unit(run, "plan")
    assert state_of(run, units_of(run)[0]).word == "failed"


def test_a_data_set_that_was_only_copied_is_read_again_and_nothing_else_is_done(calls, slurm, own, run):
    given(slurm, own, run)
    os.utime(own / "imagesTr" / "ball_3_0000.nii.gz", (5, 5))
    assert given(slurm, own, run)[0] == "plan"
    before = {path: path.stat().st_mtime_ns for path in run.preprocessed("3d").glob("*/image.b2nd")}
    do_unit(run, "plan")
    assert given(slurm, own, run)[0] == "train-3d-fold_0"
    assert {path: path.stat().st_mtime_ns for path in run.preprocessed("3d").glob("*/image.b2nd")} == before


def test_a_change_while_units_wait_is_refused(calls, slurm, own, run):
    given(slurm, own, run)
    slurm.held = ("train-3d-fold_4",)
    change(own, "image")
    with pytest.raises(RunFolderError, match=r"data set has changed.*train-3d-fold_4.*autoseg cancel"):
        given(slurm, own, run)
    assert not run.dataset_changed.exists()
    slurm.held = ()
    assert given(slurm, own, run)[0] == "plan"
    # the unit that plans waits in the queue now: the same command again changes nothing
    slurm.held = ("plan",)
    assert given(slurm, own, run)[0] == "plan"


def test_other_options_are_refused_while_units_wait_and_nothing_is_written(calls, slurm, dataset, run):
    given(slurm, dataset, run, epochs=3)
    asked = run.request.read_bytes()
    slurm.held = ("train-3d-fold_4",)
    for engine in ("slurm", "ray", "local"):
        with pytest.raises(RunFolderError, match=r"--epochs was 3, and is 4.*train-3d-fold_4.*autoseg cancel"):
            autoseg.run(dataset, run.path, engine=engine, epochs=4)
    assert run.request.read_bytes() == asked and not calls.trained
    # a plain run with the same options does what is left, and the engine is still asked about the rest
    autoseg.run(dataset, run.path, epochs=3, workers=1)
    assert run.request.read_bytes() == asked and read_engine(run) == "slurm" and len(calls.trained) == 5
    slurm.held = ()
    autoseg.run(dataset, run.path, epochs=3)
    assert read_engine(run) == "local"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"engine": "nonsense"}, "--engine nonsense: unknown; there are local, slurm, ray and ray=ADDRESS"),
        ({"engine": "slurm=here"}, "--engine slurm=here: unknown"),
        ({"engine": "local", "retries": 2}, "--retries: is for --engine slurm and ray alone"),
        ({"engine": "local", "at_once": 2}, "--at-once: is for --engine slurm and ray alone"),
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
        ({"at_once": 2, "epochs": 3}, "--at-once: shares out a time budget"),
        ({"at_once": 65}, "--at-once 65: at least one, and at most 64"),
    ):
        with pytest.raises(InputError, match=told):
            autoseg.run(dataset, tmp_path / "run", engine="slurm", **options)
    assert not (tmp_path / "run").exists() and not slurm.submitted


def test_an_engine_that_is_not_at_hand_is_not_remembered(slurm, dataset, tmp_path, monkeypatch, capsys):
    def missing(run, states=None):
        raise InputError("squeue is not found")

    for name in ("submit", "held", "in_queue"):
        monkeypatch.setattr(sys.modules["autoseg.work.engines.slurm"], name, missing)
    run = RunFolder(tmp_path / "run")
    with pytest.raises(InputError, match=r"^squeue is not found\nNothing was sent; once this is mended"):
        autoseg.run(dataset, run.path, engine="slurm", config="3d", epochs=1)
    assert read_engine(run) is None
    assert "What was asked for" not in capsys.readouterr().err
    # so that other options are welcome here
    refuse_other_request(run, read_request(run).changed(epochs=2), "local")


def test_of_two_terminals_that_give_the_same_run_at_once_the_second_is_refused(slurm, dataset, tmp_path, capsys):
    run = RunFolder(tmp_path / "run")
    other = sys.modules["autoseg.work.engines.slurm"]
    submit, seen = other.submit, []

    def while_it_is_sent(*arguments):
        with pytest.raises(LockedByAnother, match=r"giving units of work to slurm here .*; wait for it or stop it"):
            autoseg.run(dataset, run.path, engine="slurm", epochs=4)
        autoseg.run(dataset, run.path, engine="slurm", epochs=4, dry_run=True)
        seen.append(read_request(run).epochs)
        submit(*arguments)

    other.submit = while_it_is_sent
    autoseg.run(dataset, run.path, engine="slurm", epochs=3)
    assert seen == [3] and len(slurm.submitted) == 1 and '"epochs": 4' in capsys.readouterr().out
    # the lock is given up
    other.submit = submit
    autoseg.run(dataset, run.path, engine="slurm", epochs=3)
    assert len(slurm.submitted) == 2 and not list(run.work.glob("*.held"))


def test_nothing_is_sent_where_every_unit_is_done(slurm, dataset, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("autoseg.commands.give_to_engine.units_left", lambda run: ())
    autoseg.run(dataset, tmp_path / "a run", engine="slurm")
    told = on_one_line(capsys.readouterr().err)
    assert "Every unit of work is done; nothing is sent." in told and not slurm.submitted
    assert f"autoseg status '{tmp_path}/a run'" in told


@pytest.mark.parametrize(("given_at_once", "at_once"), [(None, 5), (2, 2), (9, 5)])
def test_the_time_is_divided_among_folds_that_are_trained_at_once(
    slurm, dataset, tmp_path, capsys, given_at_once, at_once
):
    autoseg.run(dataset, tmp_path / "run", engine="slurm", time_budget="1h", at_once=given_at_once)
    request = read_request(RunFolder(tmp_path / "run"))
    assert request is not None and (request.at_once, request.time_budget) == (at_once, 3600.0)
    warned = "as if 5 folds were trained at once" in on_one_line(capsys.readouterr().err)
    assert warned == (given_at_once is None)


def test_a_plan_without_a_time_limit_has_no_time_to_share_out(calls, slurm, dataset, run, capsys):
    told = []
    for budget in (2400.0, None):
        write_plan(run.plan, read_plan(run.plan).changed(time_budget_seconds=budget), {})
        given(slurm, dataset, run)
        told.append("folds were trained at once" in on_one_line(capsys.readouterr().err))
    assert told == [True, False]


def test_the_sizes_of_a_run_are_known_without_reading_images(dataset, tmp_path):
    sizes = sizes_of(RunFolder(tmp_path), dataset, ("2d",))
    assert (sizes.folds, sizes.configurations, sizes.cases) == (5, ("2d",), 5)


def test_without_an_engine_cancel_says_what_to_do(calls, run, capsys):
    autoseg.cancel(run.path)
    assert "No process works on this run." in capsys.readouterr().out
