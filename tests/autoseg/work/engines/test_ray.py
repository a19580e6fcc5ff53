"""The engine's door: Ray that is missing, two processes that place the same run, and a stop from elsewhere."""

import threading
import time

import pytest

from autoseg.commands.cli import make_app
from autoseg.errors import InputError
from autoseg.run_folder.lock import LockedByAnother, locked
from autoseg.run_folder.paths import RunFolder
from autoseg.work.engine import Asked
from autoseg.work.engines import ray as engine
from autoseg.work.engines import ray_cluster
from autoseg.work.state import State
from autoseg.work.units import units_of

REQUEST = '{"dataset": null, "configurations": ["3d"], "folds": 2, "selects": false}'


@pytest.fixture
def run(tmp_path, monkeypatch) -> RunFolder:
    monkeypatch.setattr(engine, "SECONDS_BETWEEN_LOOKS", 0.05)
    run = RunFolder(tmp_path / "run")
    run.work.mkdir(parents=True)
    run.request.write_text(REQUEST, encoding="utf-8")
    return run


@pytest.mark.parametrize("links", [False, True])
def test_a_unit_is_a_command_that_any_node_understands(run, links) -> None:
    run.request.write_text(REQUEST.replace("}", f', "follow_links": {str(links).lower()}}}'), encoding="utf-8")
    words = engine._arguments(run, "train-3d-fold_0", run.work / "a.log")
    command, bound = make_app(words).parse_args(words, exit_on_error=False, print_error=False)[:2]
    assert "work" in command.__name__ and bound.arguments["unit"] == "train-3d-fold_0"
    assert bound.arguments.get("follow_links", False) == links and bound.arguments["log"] == str(run.work / "a.log")


def test_without_ray_nothing_is_placed(run, monkeypatch) -> None:
    monkeypatch.setattr(ray_cluster, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="Ray is not installed"):
        engine.submit(run, units_of(run), engine.options_of(run, Asked("ray")))


def test_one_process_alone_places_the_units_of_a_run(run) -> None:
    with locked(run.work / "ray", "placing units"), pytest.raises(LockedByAnother):
        engine.submit(run, units_of(run), Asked("ray"))


def test_cancel_asks_the_process_that_places_units_and_waits_for_it(run) -> None:
    asked, is_placing = [], threading.Event()

    def place() -> None:
        with locked(run.work / "ray", "placing units"):
            cancelled = engine._Cancelled(run)
            is_placing.set()
            while not cancelled.is_asked():
                time.sleep(0.01)
            time.sleep(0.3)
            asked.append("stopped")

    placing = threading.Thread(target=place)
    placing.start()
    is_placing.wait()
    left = engine.cancel(run)
    assert asked == ["stopped"]
    placing.join()
    assert left == tuple(unit.name for unit in units_of(run)) and len(left) == 5
    assert not (run.work / "ray.cancel").exists()


def test_who_places_the_units_is_told_of_those_that_are_ready(run) -> None:
    states = {unit: State("ready" if unit.name == "plan" else "waiting") for unit in units_of(run)}
    assert engine.in_queue(run, states) == {} and engine.held(run) == ()
    with locked(run.ray, "placing units"):
        assert list(engine.in_queue(run, states)) == ["plan"] and len(engine.held(run)) == 5


def test_cancel_of_a_run_that_nobody_places_asks_nobody(run) -> None:
    assert len(engine.cancel(run)) == 5
    assert not (run.work / "ray.cancel").exists()
