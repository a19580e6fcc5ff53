"""While units wait in a queue or run, another `autoseg run` changes neither what was asked for nor who places them."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from autoseg.errors import InputError, RunFolderError
from autoseg.files import write_text
from autoseg.run_folder.lock import locked
from autoseg.run_folder.lock_holder import PATIENCE
from autoseg.run_folder.paths import RunFolder
from autoseg.work.at_work import (
    AskedBefore,
    asked_before,
    differences,
    is_at_work,
    refuse_other_request,
    units_at_work,
    write_down_here,
)
from autoseg.work.engine import read_engine, record_of
from autoseg.work.engines import slurm_commands
from autoseg.work.engines.slurm_commands import QueuedJob
from autoseg.work.request import Request, read_request, write_request
from autoseg.work.study_scope import AskedGrid

ASKED = Request(dataset="/data", configurations=("3d",), folds=2, epochs=100)
OTHER = ASKED.changed(epochs=200)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path / "run")
    write_request(run, ASKED)
    return run


@pytest.fixture
def queue(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> dict[str, QueuedJob]:
    """The run was given to Slurm, whose queue is a dictionary; a fold waits there."""
    write_text(run.engine, record_of("slurm"))
    jobs = {"train-3d-fold_1": QueuedJob("7_1", "PENDING", "", "Resources")}
    monkeypatch.setattr(slurm_commands, "queued", lambda run: jobs)
    return jobs


def without_slurm(run: RunFolder) -> dict[str, QueuedJob]:
    raise InputError("squeue is not found")


@pytest.mark.parametrize("engine", ["local", "slurm", "ray"])
def test_other_options_are_refused_while_a_unit_waits(run, queue, engine) -> None:
    told = r"--epochs was 100, and is 200.*train-3d-fold_1.*`autoseg cancel .*run` first"
    with pytest.raises(RunFolderError, match=told):
        refuse_other_request(run, OTHER, engine)
    queue.clear()
    refuse_other_request(run, OTHER, engine)


def test_the_same_options_go_on_beside_what_waits_and_its_engine_is_remembered(run, queue) -> None:
    refuse_other_request(run, ASKED, "slurm")
    refuse_other_request(run, ASKED, "local")
    assert is_at_work(run)
    with pytest.raises(RunFolderError, match=r"were given to slurm, and are to be given to ray.*autoseg cancel"):
        refuse_other_request(run, ASKED, "ray")
    queue.clear()
    assert not is_at_work(run)
    refuse_other_request(run, ASKED, "ray")


def test_where_slurm_is_not_at_hand_nothing_is_forgotten(run, queue, monkeypatch) -> None:
    monkeypatch.setattr(slurm_commands, "queued", without_slurm)
    refuse_other_request(run, ASKED, "local")
    assert is_at_work(run)
    told = r"Whether units of it still wait or run is not known here: squeue is not found.*delete .*engine\.json"
    with pytest.raises(RunFolderError, match=rf"(?s){told}"):
        refuse_other_request(run, OTHER, "local")
    # a run that is done has nothing in a queue, wherever its folder was copied to
    monkeypatch.setattr("autoseg.work.at_work.units_left", lambda run, wanted: ())
    refuse_other_request(run, OTHER, "local")
    assert not is_at_work(run)


@pytest.mark.parametrize("place", ["work/train-3d-fold_0", "models/3d/fold_0"])
def test_a_process_that_does_a_unit_counts_too(run, place) -> None:
    with locked(run.path / place, "training fold 0"):
        assert units_at_work(run) == ("train-3d-fold_0",)
        with pytest.raises(RunFolderError, match=r"units wait or run \(train-3d-fold_0\)"):
            refuse_other_request(run, OTHER, "local")
    assert units_at_work(run) == ()
    refuse_other_request(run, OTHER, "local")


def test_who_places_units_by_ray_holds_all_that_are_left(run) -> None:
    write_text(run.engine, record_of("ray"))
    assert units_at_work(run) == ()
    with locked(run.ray, "placing units of work by Ray"):
        assert len(units_at_work(run)) == 6
        with pytest.raises(RunFolderError, match="were given to ray, and are to be given to slurm"):
            refuse_other_request(run, ASKED, "slurm")


def held_elsewhere(run: RunFolder, fold: int) -> None:
    """A process of another machine holds a fold; nobody sees it count on."""
    holder = run.work / f".train-3d-fold_{fold}.held" / "00000000.1.1.00000000"
    holder.mkdir(parents=True)
    (holder / "alive").write_text(f"{0:020d}\nprocess 1 on other\nworking\n", encoding="utf-8")


def test_processes_elsewhere_are_watched_at_the_same_time_until_they_are_known_to_be_gone(
    run, monkeypatch, capsys
) -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=sleep)
    monkeypatch.setattr("autoseg.run_folder.lock_holder.time", clock)
    held_elsewhere(run, 0)
    held_elsewhere(run, 1)
    assert units_at_work(run) == ()
    assert PATIENCE < now[0] < PATIENCE + 5
    assert "processes of other machines" in capsys.readouterr().err


def test_what_changes_nothing_waits_for_nobody(run, queue, monkeypatch) -> None:
    assert asked_before(run, ASKED) == asked_before(run, OTHER) == AskedBefore(ASKED, "slurm", True)
    run.engine.unlink()
    monkeypatch.setattr("autoseg.work.at_work.units_at_work", lambda run: pytest.fail("asked who is at work"))
    assert asked_before(run, ASKED) == AskedBefore(ASKED)
    run.request.unlink()
    assert asked_before(run, OTHER) == AskedBefore()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"workers": 3, "trust_times": True, "parts": 4, "folds": 3, "at_once": 5, "devices": ("cpu", "cpu")}, []),
        ({"dataset": "/data/../data"}, []),
        ({"configurations": ()}, []),
        ({"dataset": "/other"}, ["DATASET was /data, and is /other"]),
        ({"configurations": ("2d", "3d")}, ["--config was 3d, and is 2d 3d"]),
        (
            {"selects": False, "epochs": None},
            ["--epochs was 100, and is not given", "--no-select was not given, and is given"],
        ),
        ({"time_budget": 60.0}, ["--time-budget was not given, and is 60.0"]),
    ],
)
def test_what_decides_no_result_may_differ(run, changes, told) -> None:
    assert differences(run, ASKED, ASKED.changed(**changes)) == told


STUDY = Request(dataset="/data", grid=AskedGrid(sequences=("T1", "T2")), selects=False)


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        # an engine's request has cells and folds written down, that of this process has what the person said
        ({"configurations": ("T1.2d", "T2.2d"), "folds": 5}, {}, []),
        ({"folds": 5}, {"folds": 3}, ["--folds was 5, and is 3"]),
        ({}, {"grid": AskedGrid(sequences=("T1",))}, ["--sequences was T1 T2, and is T1"]),
        (
            {},
            {"grid": AskedGrid(sequences=("T1", "T2"), dimensions=("2d",))},
            ["--dimensions was not given, and is 2d"],
        ),
        ({}, {"grid": None, "selects": True}, ["it was `autoseg study`, and is `autoseg run`"]),
    ],
)
def test_studies_differ_by_their_grids_and_folds(run, before, now, told) -> None:
    assert differences(run, STUDY.changed(**before), STUDY.changed(**now)) == told


def test_a_damaged_request_binds_nobody(run, queue) -> None:
    run.request.write_text("{", encoding="utf-8")
    refuse_other_request(run, OTHER, "slurm")
    assert units_at_work(run) == ("train-3d-fold_1",)
    write_down_here(run, OTHER, asked_before(run, OTHER))
    assert read_request(run) == OTHER and read_engine(run) == "slurm"


def test_what_another_command_asked_meanwhile_is_neither_changed_nor_forgotten(run, queue) -> None:
    # this one began when nothing was there yet, and has read the data set since
    began = AskedBefore()
    write_down_here(run, ASKED.changed(workers=3), began)
    assert read_request(run) == ASKED and read_engine(run) == "slurm"
    with pytest.raises(RunFolderError, match=r"another `autoseg run` has asked for something else \(--epochs was 100"):
        write_down_here(run, OTHER, began)
    assert read_request(run) == ASKED
    # what was done before this command began is its own to change
    write_down_here(run, OTHER, AskedBefore(ASKED, "slurm"))
    assert read_request(run) == OTHER and read_engine(run) == "local"


def test_while_another_command_gives_units_nothing_is_written(run) -> None:
    with locked(run.request, "giving units of work to ray"):
        # nothing is to be written, as beside an engine that stays until the end
        write_down_here(run, ASKED, AskedBefore(ASKED))
        with pytest.raises(RunFolderError, match="another process is writing down what was asked for here"):
            write_down_here(run, OTHER, AskedBefore(ASKED))
        write_text(run.engine, record_of("ray"))
        write_down_here(run, ASKED, AskedBefore())
    assert read_request(run) == ASKED and read_engine(run) == "ray"
    assert [path.name for path in run.work.iterdir() if path.name.startswith(".")] == []
