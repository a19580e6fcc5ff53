"""Which units are placed with what, tried again, told and stopped. Ray is a stand-in that does a task when it is asked.

With Ray itself: tests/end_to_end/test_ray.py.
"""

import io
import signal
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace

import pytest
from rich.console import Console

from autoseg.errors import PartialFailure
from autoseg.run_folder.paths import RunFolder
from autoseg.terminal import FoldLines
from autoseg.work.engines import ray_run
from autoseg.work.engines.ledger import Ended, Ledger
from autoseg.work.engines.ray_nodes import Node
from autoseg.work.engines.ray_run import RayRun
from autoseg.work.engines.unit_lines import UnitLines
from autoseg.work.unit import Needs, Unit
from trainer.stop_request import TrainingStopped

GB = 10**9
NEEDS = Needs(4, 8 * GB, 1, None)
UNITS = (
    Unit("plan", "plan", NEEDS, ()),
    Unit("train-3d-fold_0", "train", NEEDS, ("plan",)),
    Unit("train-3d-fold_1", "train", NEEDS, ("plan",)),
    Unit("report-3d", "report", NEEDS, ("train-3d-fold_0", "train-3d-fold_1")),
)
NAMES = ("RayError", "TaskCancelledError", "NodeDiedError", "LocalRayletDiedError", "WorkerCrashedError")
ERRORS = {name: type(name, (Exception,), {}) for name in NAMES}


class FakeRay(ModuleType):
    """Does a task as soon as somebody waits for it; `ends` tells how each try of a unit ends."""

    def __init__(self) -> None:
        super().__init__("ray")
        base = ERRORS["RayError"]
        errors = {name: base if name == "RayError" else type(name, (base,), {}) for name in NAMES}
        self.exceptions = SimpleNamespace(**errors, OutOfMemoryError=type("OutOfMemoryError", (base,), {}))
        self.ends: dict[str, list[Ended | Exception]] = {}
        self.placed: list[tuple[str, dict, tuple]] = []
        self.cancelled: list[str] = []
        self.before_wait: Callable[[], None] = lambda: None

    def remote(self, function):
        return SimpleNamespace(options=lambda **options: SimpleNamespace(remote=self._task(options)))

    def _task(self, options):
        def place(*arguments):
            self.placed.append((options["name"], options, arguments))
            return (options["name"], len(self.placed))

        return place

    def wait(self, references, timeout):
        self.before_wait()
        return references[:1], references[1:]

    def get(self, reference):
        ends = self.ends.get(reference[0])
        how = ends.pop(0) if ends else Ended(0, "ws2")
        if isinstance(how, Exception):
            raise how
        return how

    def cancel(self, reference) -> None:
        self.cancelled.append(reference[0])


@pytest.fixture
def ray(monkeypatch) -> FakeRay:
    fake = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", fake)
    monkeypatch.setattr(ray_run, "check_nodes", lambda run, nodes: None)
    monkeypatch.setattr(ray_run, "nodes_of_cluster", lambda: [Node("a", "10.0.0.1", 16, 64 * GB, 1.0)])
    return fake


def made(tmp_path, retries=2, units=UNITS, **more) -> RayRun:
    lines = UnitLines(FoldLines(Console(file=io.StringIO())), lambda placed: {})
    return RayRun(
        RunFolder(tmp_path / "run"),
        Ledger(units, retries, set()),
        lambda name, log: ("work", "RUN", name, "--log", log.name),
        **{"units_now": lambda: UNITS, "is_cancelled": lambda: False} | more,
        lines=lines,
        console=Console(file=io.StringIO(), width=300),
    )


def placed(ray) -> list[str]:
    return [name for name, _, _ in ray.placed]


def told(run: RayRun) -> str:
    return run.console.file.getvalue()


def test_units_are_placed_in_order_with_what_they_need_and_as_commands_alone(tmp_path, ray) -> None:
    run = made(tmp_path, units=UNITS[:1])
    run.work()
    # those after the plan follow from it
    assert placed(ray) == [unit.name for unit in UNITS]
    _, options, (command, log, versions) = ray.placed[1]
    assert options == {"name": UNITS[1].name, "num_cpus": 4, "num_gpus": 1, "memory": 8 * GB, "max_retries": 0}
    assert command == ("work", "RUN", UNITS[1].name, "--log", f"{UNITS[1].name}.log") and log.endswith(command[-1])
    assert all(isinstance(value, str) for value in (*versions, *versions.values()))
    assert "report-3d: done on ws2" in told(run)


def test_a_unit_whose_node_died_is_placed_anew(tmp_path, ray) -> None:
    ray.ends[UNITS[1].name] = [ray.exceptions.NodeDiedError("long text"), Ended(None, "ws3"), Ended(0, "ws4")]
    run = made(tmp_path)
    run.work()
    assert placed(ray).count(UNITS[1].name) == 3 and placed(ray)[-1] == "report-3d"
    assert f"{UNITS[1].name}: its node was lost; placed anew, try 2 of 3" in told(run)
    assert f"{UNITS[1].name}: it was lost (on ws3); placed anew, try 3 of 3" in told(run)


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("OutOfMemoryError", "its node ran out of memory"),
        ("WorkerCrashedError", "its process on the node was lost"),
        ("LocalRayletDiedError", "its node was lost"),
        ("TaskCancelledError", "it was cancelled"),
        ("RayError", "the last line"),
    ],
)
def test_a_unit_is_given_up_after_its_tries_with_the_cause_in_words(tmp_path, ray, name, cause) -> None:
    ray.ends[UNITS[2].name] = [getattr(ray.exceptions, name)("Traceback\n  the last line\n") for _ in range(2)]
    run = made(tmp_path, retries=1)
    with pytest.raises(PartialFailure) as failed:
        run.work()
    assert placed(ray).count(UNITS[2].name) == 2 and UNITS[1].name in placed(ray)
    assert f"{UNITS[2].name}: failed in 2 tries: " in str(failed.value) and cause in str(failed.value)
    assert "not begun, since they wait for these: report-3d" in str(failed.value)


def test_a_unit_that_fits_no_node_any_more_is_given_up_and_the_others_go_on(tmp_path, ray) -> None:
    large = Unit("train-3d-fold_2", "train", Needs(1, 65 * GB, 0, None), ("plan",))
    run = made(tmp_path, units=UNITS[:1], units_now=lambda: (*UNITS, large))
    with pytest.raises(PartialFailure, match="train-3d-fold_2: failed: train-3d-fold_2: needs 65 GB of memory"):
        run.work()
    assert placed(ray) == [unit.name for unit in UNITS]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_cancels_every_unit_and_waits_for_each(tmp_path, ray, number) -> None:
    def stop() -> None:
        if len(ray.placed) == 3 and not ray.cancelled:
            signal.raise_signal(number)

    ray.before_wait = stop
    run = made(tmp_path)
    with pytest.raises(TrainingStopped) as stopped:
        run.work()
    assert stopped.value.exit_status == 128 + number
    # one of both had ended when the stop was seen
    assert ray.cancelled == [UNITS[2].name] and run._placed == {} and "report-3d" not in placed(ray)


def test_a_stop_from_elsewhere_is_one_too(tmp_path, ray) -> None:
    run = made(tmp_path, is_cancelled=lambda: len(ray.placed) == 3)
    with pytest.raises(TrainingStopped):
        run.work()
    # as above; the stop is seen after the next look
    assert ray.cancelled == [UNITS[2].name] and run._placed == {} and "report-3d" not in placed(ray)
