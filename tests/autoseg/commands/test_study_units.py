"""A study as units of work: given to an engine by one command, done in turn, and told where a cell fails."""

import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import autoseg
from autoseg.commands import cli, do_unit
from autoseg.commands.do_unit import UnitWaits
from autoseg.commands.give_to_engine import sizes_of
from autoseg.errors import DatasetError, InputError, RunFolderError
from autoseg.files import discard, write_text
from autoseg.image.image import Image, write_image
from autoseg.plan.plan import read_plan
from autoseg.run_folder.lock import locked
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import read_splits
from autoseg.run_folder.time_spent import add_time, read_time_spent
from autoseg.run_folder.timed_stage import Stage
from autoseg.work.engine import read_engine, write_engine
from autoseg.work.request import read_request, write_request
from autoseg.work.state import States
from autoseg.work.study_scope import AskedGrid
from autoseg.work.units import trained_in, units_of
from tests.autoseg.commands.stand_ins import install
from tests.autoseg.commands.test_study import ASKED as OF_ALL_FOLDS
from tests.autoseg.commands.test_study import CELLS, dataset, failing, trained
from tests.autoseg.dataset import build
from tests.autoseg.small_dataset import geometry
from tests.words import on_one_line

__all__ = ["dataset"]
ASKED = OF_ALL_FOLDS | {"folds": 2}
BUDGET = 3 * 3600.0


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Nobody waits for a slow file system."""
    monkeypatch.setattr(do_unit, "SECONDS_FOR_OTHERS", 0.0)
    monkeypatch.setattr(do_unit, "SECONDS_BETWEEN_LOOKS", 0.02)


@pytest.fixture
def calls(monkeypatch):
    calls = install(monkeypatch)
    calls.written = []

    def write_study(run, cells, *, failures, workers, threads):
        calls.written.append(([cell.name for cell in cells], dict(failures)))
        write_text(run.study / "study.html", "")
        return SimpleNamespace(problems=tuple(f"{name}: {why}" for name, why in failures.items()))

    monkeypatch.setitem(sys.modules, "inference.study.write", SimpleNamespace(write_study=write_study))
    for module in ("study", "study_unit"):
        monkeypatch.setattr(f"autoseg.commands.{module}.print_study", lambda *arguments: None)
    return calls


def stand_in_for_slurm() -> SimpleNamespace:
    """An engine that writes down what it is given."""
    submitted: list[list[str]] = []
    held: list[str] = []
    return SimpleNamespace(
        submitted=submitted,
        options_of=lambda run, asked: asked,
        submit=lambda run, units, options: submitted.append([unit.name for unit in units]),
        scripts_of=lambda run, units, options, written, removed, follow_links: (
            f"a script of {len(units)} units, which writes {written[run.request]}"
        ),
        held=lambda run: held,
        in_queue=lambda run, states: {},
        waiting=held,
    )


@pytest.fixture
def slurm(monkeypatch):
    engine = stand_in_for_slurm()
    monkeypatch.setitem(sys.modules, "autoseg.work.engines.slurm", engine)
    return engine


@pytest.fixture
def asked(slurm, dataset, tmp_path) -> RunFolder:
    """A STUDY folder that holds nothing but what was asked for."""
    run = RunFolder(tmp_path / "asked")
    assert autoseg.study(dataset, run.path, **ASKED, engine="slurm") is None
    return run


def work(run: RunFolder, name: str, status: int = 0) -> None:
    assert cli.status_of(["work", str(run.path), name]) == status, name


def words(run: RunFolder) -> dict[str, str]:
    states = States(run)
    return {unit.name: states.of(unit).word for unit in units_of(run)}


@pytest.fixture(scope="module")
def prepared_once(dataset, tmp_path_factory):
    """A study that was given to an engine, planned and prepared, made once."""
    path = tmp_path_factory.mktemp("prepared") / "study"
    with pytest.MonkeyPatch.context() as patch:
        install(patch)
        patch.setitem(sys.modules, "autoseg.work.engines.slurm", stand_in_for_slurm())
        autoseg.study(dataset, path, **ASKED, engine="slurm")
        for name in ("plan", "prepare-2d-0of1", "prepare-3d-0of1"):
            assert cli.status_of(["work", str(path), name]) == 0
    return path


@pytest.fixture
def prepared(prepared_once, tmp_path) -> RunFolder:
    """A copy of it that the test may change."""
    shutil.copytree(prepared_once, tmp_path / "study")
    return RunFolder(tmp_path / "study")


def train(run: RunFolder, *, but: str = "none") -> None:
    """Train all folds of all cells by hand, but those whose units' names begin so."""
    for unit in units_of(run):
        if unit.kind == "train" and not unit.name.startswith(but):
            sys.modules["trainer.fold"].train_fold(run, *trained_in(unit))


def test_one_command_gives_all_cells_to_an_engine(slurm, asked, dataset, capsys):
    request = read_request(asked)
    assert request is not None and request.grid == AskedGrid(sequences=("T1", "T2"), dimensions=("2d", "3d"))
    assert (request.configurations, request.folds, request.at_once) == (tuple(CELLS), 2, 8)
    (names,) = slurm.submitted
    assert names[0] == "plan" and names[-1] == "study" and len(names) == 1 + 2 + 8 + 1
    assert read_engine(asked) == "slurm" and not asked.plan.exists()
    autoseg.study(dataset, asked.path, **ASKED, engine="slurm", dry_run=True)
    told = capsys.readouterr()
    assert "as if 8 folds were trained at once" in on_one_line(told.err) and '"sequences": [' in told.out
    assert len(slurm.submitted) == 1 and read_request(asked) == request
    autoseg.study(dataset, asked.path, **ASKED, epochs=3, engine="slurm", dry_run=True)
    told = capsys.readouterr()
    assert "a script of 12 units" in told.out and "trained at once" not in told.err


def test_a_study_with_other_options_is_refused_while_units_wait_and_the_same_one_works_beside(
    calls, slurm, prepared, dataset, monkeypatch
):
    slurm.waiting.append("train-T1.2d-fold_0")
    before = prepared.request.read_bytes()
    for engine in ("local", "slurm"):
        with pytest.raises(
            RunFolderError, match=r"earlier `autoseg study`.*--dimensions was 2d 3d, and is 2d\).*cancel"
        ):
            autoseg.study(dataset, prepared.path, **(ASKED | {"dimensions": ["2d"]}), engine=engine)
    assert not calls.trained
    autoseg.study(dataset, prepared.path, **ASKED)
    assert len(calls.trained) == 8 and prepared.request.read_bytes() == before and read_engine(prepared) == "slurm"
    # without units that wait, the command of one machine is remembered
    slurm.waiting.clear()
    autoseg.study(dataset, prepared.path, **ASKED)
    asked = read_request(prepared)
    assert read_engine(prepared) == "local" and asked is not None and (asked.configurations, asked.at_once) == ((), 1)
    assert set(words(prepared).values()) == {"done"}
    # where nothing changes, nobody is asked
    monkeypatch.setattr("autoseg.work.at_work.units_at_work", lambda run: pytest.fail("asked who is at work"))
    autoseg.study(dataset, prepared.path, **ASKED)


def test_all_units_in_turn_are_a_study(calls, asked, dataset, tmp_path):
    work(asked, "plan")
    assert [unit.name for unit in units_of(asked)][1:3] == ["prepare-2d-0of1", "prepare-3d-0of1"]
    assert words(asked)["prepare-3d-0of1"] == "ready" and words(asked)["study"] == "waiting"
    for unit in units_of(asked)[1:]:
        work(asked, unit.name)
    assert set(words(asked).values()) == {"done"}
    by_units, calls.trained[:] = trained(calls), []
    whole = RunFolder(tmp_path / "whole")
    autoseg.study(dataset, whole.path, **ASKED)
    assert by_units == trained(calls) == [(cell, fold) for cell in CELLS for fold in range(2)]
    assert calls.written == 2 * [(CELLS, {})]
    assert read_splits(asked.splits) == read_splits(whole.splits)
    assert read_plan(asked.plan).changed(devices=1) == read_plan(whole.plan).changed(devices=1)
    folders = [
        sorted(p.relative_to(run.path) for p in (run.path / "preprocessed").glob("*/*")) for run in (asked, whole)
    ]
    assert folders[0] == folders[1] and {p.parts[1] for p in folders[0]} == {"2d", "3d"}
    # the command of one machine leaves the same behind
    assert words(whole) == dict.fromkeys(words(asked), "done")
    work(asked, "study")
    assert len(calls.written) == 2, "what is done is left as it is"


def test_a_cell_that_fails_is_told_with_the_results_of_the_others(calls, prepared, dataset, monkeypatch, slurm):
    train(prepared, but="train-T1.3d-fold_1")
    with monkeypatch.context() as patch:
        failing(patch, "T1.3d", RunFolderError("no such case"))
        unit, log = "train-T1.3d-fold_1", "/logs/train-T1.3d-fold_1.log"
        assert cli.status_of(["work", str(prepared.path), unit, "--log", log]) == 2
        work(prepared, "study")
    assert calls.written == [(CELLS, {"T1.3d": f"fold 1: no such case (what it printed: {log})"})]
    # the same command gives both to the engine again
    left = {name: word for name, word in words(prepared).items() if word != "done"}
    assert left == {unit: "failed", "study": "waiting"}
    autoseg.study(dataset, prepared.path, **ASKED, engine="slurm")
    assert slurm.submitted == [[unit, "study"]]
    work(prepared, unit)
    work(prepared, "study")
    assert calls.written[1:] == [(CELLS, {})] and set(words(prepared).values()) == {"done"}


def test_cells_whose_cases_cannot_be_prepared_are_told_so(calls, prepared, monkeypatch):
    discard(prepared.preprocessed("3d") / "ball_2")
    prepared.tries("prepare-3d-0of1").unlink()

    def fails(*_, **__):
        raise DatasetError(["ball_2: the disk is gone", "ball_3: the disk is gone"], "mend it")

    monkeypatch.setattr("planner.preprocess_part.preprocess_part", fails)
    work(prepared, "prepare-3d-0of1", 2)
    for fold in range(2):
        for cell in ("T1.2d", "T2.2d"):
            sys.modules["trainer.fold"].train_fold(prepared, cell, fold)
    work(prepared, "study")
    ((_, failures),) = calls.written
    assert set(failures) == {"T1.3d", "T2.3d"}
    # told once, in short
    begin = "folds 0, 1: not begun, since prepare-3d-0of1 failed"
    assert failures == {"T1.3d": f"{begin}: ball_2: the disk is gone, and 2 more lines", "T2.3d": begin}


def test_a_study_is_not_given_while_another_process_gives_it(slurm, dataset, asked):
    before = asked.request.read_bytes()
    with locked(asked.request, "giving units of work to slurm"), pytest.raises(RunFolderError, match="wait for it"):
        autoseg.study(dataset, asked.path, **ASKED | {"epochs": 7}, engine="slurm")
    assert asked.request.read_bytes() == before and len(slurm.submitted) == 1


def test_results_are_written_while_trainings_are_not_begun_and_that_is_no_success(calls, prepared):
    work(prepared, "train-T1.2d-fold_0")
    with pytest.raises(
        UnitWaits, match=r"shows what is finished; it waits for train-T1\.2d-fold_1, train-T1\.3d-fold_0"
    ):
        do_unit.do_unit(prepared, "study")
    ((_, failures),) = calls.written
    assert failures["T2.2d"] == "folds 0, 1: not begun"


def test_results_wait_for_a_training_that_runs(calls, prepared):
    with (
        locked(prepared.fold("T2.3d", 1), "training"),
        pytest.raises(UnitWaits, match=r"waits for train-T2\.3d-fold_1"),
    ):
        do_unit.do_unit(prepared, "study", patience=0.05)
    assert not calls.written


def test_the_time_is_shared_by_all_folds_and_counts_the_preparation(calls, prepared):
    request = read_request(prepared)
    assert request is not None and "preprocess 2d" in read_time_spent(prepared).seconds

    def seconds_of_next(unit: str, at_once: int) -> float:
        write_request(prepared, request.changed(at_once=at_once))
        work(prepared, unit)
        return calls.trained[-1][2]["seconds_from_now"]

    # one round, so that each has nearly all; and the other seven in turn
    assert 0.9 * BUDGET < seconds_of_next("train-T1.2d-fold_0", 8) < BUDGET
    assert 0.9 * BUDGET / 7 < seconds_of_next("train-T1.2d-fold_1", 1) < BUDGET / 7
    # cells read what was prepared for `2d`, which is no cell
    add_time(prepared, Stage("preprocess", "2d"), BUDGET / 2)
    assert 0.4 * BUDGET < seconds_of_next("train-T1.3d-fold_0", 8) < 0.5 * BUDGET


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"sequences": ["T1+FLAIR"]}, "FLAIR"),
        ({"dimensions": ["4d"]}, "--dimensions 4d"),
        ({"replan": True}, "--replan: is for --engine local"),
        ({"devices": ["cpu", "cpu"]}, "--devices: names devices of this machine"),
        ({"retries": 2, "engine": "local"}, "--retries: is for --engine slurm and ray alone"),
    ],
)
def test_options_are_checked_before_anything_is_written(slurm, dataset, tmp_path, options, told):
    with pytest.raises(InputError, match=told):
        autoseg.study(dataset, tmp_path / "study", **({**ASKED, "engine": "slurm"} | options))
    assert not (tmp_path / "study").exists() and not slurm.submitted


def test_more_cells_or_other_folds_than_planned_are_refused(calls, slurm, dataset, prepared):
    for options, told in (({"sequences": ["T1+T2"]}, r"T1\+T2\.2d"), ({"folds": 3}, "2 folds, not 3")):
        with pytest.raises(RunFolderError, match=told):
            autoseg.study(dataset, prepared.path, **({**ASKED, "engine": "slurm"} | options))
    assert not slurm.submitted


def test_images_of_one_slice_have_cells_of_2d_alone(tmp_path):
    rows = [{"case": f"c{i}", "T1": f"{i}.nii.gz", "label": f"{i}_l.nii.gz"} for i in range(3)]
    for row in rows:
        for file in (row["T1"], row["label"]):
            write_image(tmp_path / "data" / file, Image(np.ones((1, 1, 8, 8), np.uint8), geometry((1, 8, 8))))
    build.write_table(tmp_path / "data", rows)
    sizes = sizes_of(RunFolder(tmp_path / "run"), tmp_path / "data", (), grid=AskedGrid(sequences=("T1",)), folds=2)
    assert (sizes.configurations, sizes.folds) == (("T1.2d",), 2)


def test_status_and_cancel_know_a_study_that_is_not_in_a_queue(calls, prepared, capsys):
    # as after the command of one machine
    write_engine(prepared, "local")
    train(prepared)
    found = autoseg.status(prepared.path)
    assert {unit.name for unit, state in found.units if state.word != "done"} == {"study"}
    assert "11 of 12 units of work are done" in on_one_line(capsys.readouterr().out)
    autoseg.cancel(prepared.path)
    assert "No process works on this run." in capsys.readouterr().out
