"""What is told of nodes that differ, by node, and what a unit gets of a node."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from autoseg.errors import InputError
from autoseg.run_folder.paths import RunFolder
from autoseg.work.engines import ray_node
from autoseg.work.engines.ray_nodes import Node, check_nodes, cores_for, nodes_of_cluster
from autoseg.work.unit import Needs, Unit

GB = 10**9
BIG, SMALL = Node("a" * 8, "10.0.0.1", 16, 64 * GB, 1.0), Node("b" * 8, "10.0.0.2", 4, 16 * GB, 0.0)


class RayError(Exception):
    pass


class GetTimeoutError(RayError):
    pass


@pytest.fixture
def ray(monkeypatch) -> ModuleType:
    """A stand-in for Ray: a task is done where it is asked for; `on` changes what a node is, by its number."""
    module = ModuleType("ray")
    module.exceptions = SimpleNamespace(RayError=RayError, GetTimeoutError=GetTimeoutError)
    module.on = {}

    class Task:
        def __init__(self, function, node="") -> None:
            self.function, self.node = function, node

        def options(self, *, scheduling_strategy, **options):
            assert options == {"num_cpus": 0, "max_retries": 0}
            return Task(self.function, scheduling_strategy)

        def remote(self, *arguments):
            found = self.function(*arguments)
            return module.on.get(self.node, lambda found: found)(found)

    def get(found, timeout):
        if isinstance(found, Exception):
            raise found
        return found

    module.remote, module.get = Task, get
    strategies = ModuleType("ray.util.scheduling_strategies")
    strategies.NodeAffinitySchedulingStrategy = lambda number, soft: number
    monkeypatch.setitem(sys.modules, "ray", module)
    monkeypatch.setitem(sys.modules, "ray.util", ModuleType("ray.util"))
    monkeypatch.setitem(sys.modules, "ray.util.scheduling_strategies", strategies)
    monkeypatch.setattr(ray_node, "SECONDS_FOR_A_FILE", 0.3)
    return module


@pytest.fixture
def run(tmp_path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def test_nodes_that_are_the_same_pass_and_leave_nothing_behind(ray, run) -> None:
    check_nodes(run, [BIG, SMALL])
    assert list(run.work.iterdir()) == []


def test_what_differs_is_told_by_node(ray, run) -> None:
    ray.on[SMALL.number] = lambda found: (
        found | {"host": "ws2", "torch": "1.0", "folder": "there is no folder /data/RUN"}
    )
    with pytest.raises(InputError) as refused:
        check_nodes(run, [BIG, SMALL])
    told = str(refused.value)
    assert "1 of 2 nodes cannot do this run; nothing was placed" in told
    assert "ws2 (10.0.0.2): has torch 1.0 instead of" in told and "there is no folder /data/RUN" in told
    assert BIG.address not in told and list(run.work.iterdir()) == []


def test_a_node_whose_writing_is_not_seen_here_is_told(ray, run) -> None:
    def elsewhere(found):
        next(path for path in run.work.iterdir() if path.name.endswith(SMALL.number)).unlink()
        return found

    ray.on[SMALL.number] = elsewhere
    with pytest.raises(InputError, match=r"10\.0\.0\.2\): what it writes into .* is not seen here"):
        check_nodes(run, [BIG, SMALL])


def test_nodes_that_do_not_answer_or_lack_autoseg_are_told(ray, run) -> None:
    ray.on[BIG.number] = lambda found: GetTimeoutError("late")
    ray.on[SMALL.number] = lambda found: RayError("Traceback\nModuleNotFoundError: No module named 'autoseg'\n")
    with pytest.raises(InputError) as refused:
        check_nodes(run, [BIG, SMALL])
    assert "10.0.0.1: does not answer" in str(refused.value)
    assert "10.0.0.2: autoseg cannot be run there (ModuleNotFoundError: No module named 'autoseg')" in str(
        refused.value
    )


def test_a_cluster_without_cores_is_refused(ray, run) -> None:
    head = {"NodeID": "c", "NodeManagerAddress": "10.0.0.3", "Alive": True, "Resources": {"memory": 1e9}}
    node = head | {"NodeID": "d", "Resources": {"CPU": 4.0, "memory": 16e9, "GPU": 2.0}}
    ray.nodes = lambda: [head, node, node | {"Alive": False}]
    assert nodes_of_cluster() == [Node("d", "10.0.0.3", 4, 16 * GB, 2.0)]
    ray.nodes = lambda: [head]
    with pytest.raises(InputError, match="no node of this cluster offers a core"):
        check_nodes(run, nodes_of_cluster())


@pytest.mark.parametrize(
    ("needs", "cores"),
    [
        (Needs(4, None, 0, None), 4),
        (Needs(32, None, 0, None), 16),
        (Needs(8, 8 * GB, 1, None), 8),
        (Needs(0, None, 0, None), 1),
    ],
)
def test_a_unit_gets_the_cores_it_can_use_and_a_node_has(needs, cores) -> None:
    assert cores_for(Unit("train-3d-fold_0", "train", needs, ()), [SMALL, BIG]) == cores


@pytest.mark.parametrize("needs", [Needs(1, 65 * GB, 0, None), Needs(1, None, 2, None), Needs(1, 65 * GB, 1, None)])
def test_a_unit_that_no_node_fits_is_refused_by_name(needs) -> None:
    with pytest.raises(InputError) as refused:
        cores_for(Unit("train-3d-fold_0", "train", needs, ()), [SMALL, BIG])
    told = str(refused.value)
    assert told.startswith("train-3d-fold_0: needs ") and "10.0.0.1: 16 cores, 64 GB, 1 GPU" in told
