"""The units of a run as tasks of the Ray cluster that this process is connected to.

A task starts `autoseg work RUN UNIT` on a node and waits for its end. Ray decides where and when. This process stays
until the end: it places what waits for nothing any more, and places anew what was lost with a node or failed.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from autoseg.errors import InputError, PartialFailure
from autoseg.run_folder.predictions_folder import WorkFolder
from autoseg.terminal import open_console
from autoseg.work.engines import ray_node
from autoseg.work.engines.ledger import REFUSED, Ended, Ledger, told_failures
from autoseg.work.engines.ray_nodes import Node, check_nodes, cores_for, nodes_of_cluster
from autoseg.work.engines.unit_lines import UnitLines
from autoseg.work.unit import Unit

SECONDS_BETWEEN_LOOKS = 0.25
"""A stop that the person asks for is answered after this time at most."""


@dataclass
class RayRun:
    """The units of a run on the cluster that this process is connected to.

    Args:
        run: RUN folder, which all nodes see.
        ledger: the units, by where they stand.
        arguments: arguments of `autoseg` that do a unit, from its name and the file of what it prints.
        units_now: reads the units again, since those after the plan follow from it.
        is_cancelled: whether somebody asked for a stop from elsewhere.
        lines: display of the units that run.
        console: console for messages to the user.
    """

    run: WorkFolder
    ledger: Ledger
    arguments: Callable[[str, Path], tuple[str, ...]]
    units_now: Callable[[], Sequence[Unit]]
    is_cancelled: Callable[[], bool]
    lines: UnitLines
    console: Console
    _placed: dict[Any, Unit] = field(default_factory=dict)
    _nodes: list[Node] = field(default_factory=list)

    def work(self) -> None:
        """Do every unit that is not done.

        Raises:
            TrainingStopped: the person asked for a stop; every unit has saved its state.
            PartialFailure: units failed; all that did not wait for them are done.
            InputError: nodes differ from this process, or none has what a unit needs.
        """
        from trainer.stop_request import GOES_ON, StopRequest, TrainingStopped

        self._nodes = nodes_of_cluster()
        check_nodes(self.run, self._nodes)
        for unit in self.ledger.units:
            cores_for(unit, self._nodes)
        with StopRequest() as stop:
            while stop.number is None and not self.is_cancelled():
                for unit in self.ledger.take_ready():
                    self._place(unit)
                if not self._placed:
                    break
                self._wait()
            else:
                self._stop_all()
                raise TrainingStopped(GOES_ON, stop.number or signal.SIGTERM)
        if self.ledger.failed:
            raise PartialFailure(told_failures(self.ledger))

    def _place(self, unit: Unit) -> None:
        import ray

        # nodes may have come or gone since; where none is left, Ray waits for one
        self._nodes = nodes_of_cluster() or self._nodes
        try:
            cores = cores_for(unit, self._nodes)
        except InputError as error:
            self._end(unit, Ended(REFUSED, why=str(error)))
            return
        task = ray.remote(ray_node.do_unit).options(
            name=unit.name,
            num_cpus=cores,
            num_gpus=unit.needs.gpus,
            memory=unit.needs.memory_bytes,
            # a try is counted and told here
            max_retries=0,
        )
        log = self.run.logs.absolute() / f"{unit.name}.log"
        placed = task.remote(self.arguments(unit.name, log), str(log), ray_node.environment_here())
        self._placed[placed] = unit

    def _wait(self) -> None:
        """Answer the units that have ended since, and show those that run."""
        import ray

        ended, _ = ray.wait(list(self._placed), timeout=SECONDS_BETWEEN_LOOKS)
        for reference in ended:
            self._end(self._placed.pop(reference), _how(reference))
        self.lines.show(tuple(self._placed.values()))

    def _end(self, unit: Unit, ended: Ended) -> None:
        self.lines.take_away(unit.name)
        follows = self.ledger.end(unit.name, ended)
        if follows == "done":
            self.console.print(f"{unit.name}: done{f' on {ended.where}' if ended.where else ''}")
            if unit.kind == "plan":
                self.ledger.units = tuple(self.units_now())
            return
        tries, most = self.ledger.tries[unit.name], self.ledger.retries + 1
        what = f"placed anew, try {tries + 1} of {most}" if follows == "again" else "given up; the others go on"
        self.console.print(f"{unit.name}: {ended.told()}; {what}", style="yellow", soft_wrap=True)

    def _stop_all(self) -> None:
        """Cancel every unit, and wait until each has saved its state; those that wait for a place never begin."""
        import ray

        open_console(stderr=True).print("Stopping: every unit saves its state.")
        for reference in self._placed:
            ray.cancel(reference)
        while self._placed:
            ended, _ = ray.wait(list(self._placed), timeout=SECONDS_BETWEEN_LOOKS)
            for reference in ended:
                del self._placed[reference]


def _how(reference: Any) -> Ended:
    """How a task ended."""
    import ray

    try:
        ended: Ended = ray.get(reference)
    except ray.exceptions.RayError as error:
        return Ended(None, why=_cause(error))
    return ended


def _cause(error: Exception) -> str:
    """What Ray says of a task that it lost, in a sentence."""
    import ray

    lost = ray.exceptions
    if isinstance(error, lost.OutOfMemoryError):
        return "Ray ended it, since its node ran out of memory"
    if isinstance(error, lost.TaskCancelledError):
        return "it was cancelled"
    if isinstance(error, lost.NodeDiedError | lost.LocalRayletDiedError):
        return "its node was lost"
    if isinstance(error, lost.WorkerCrashedError):
        return "its process on the node was lost"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:500] if lines else type(error).__name__
