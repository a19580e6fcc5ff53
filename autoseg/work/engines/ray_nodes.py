"""Looks at every node of a Ray cluster before anything is placed: its versions, and whether it sees the RUN folder."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoseg.disk.leftovers import hidden_name
from autoseg.errors import InputError
from autoseg.files import write_text
from autoseg.memory import readable_bytes
from autoseg.run_folder.predictions_folder import WorkFolder
from autoseg.work.engines import ray_node
from autoseg.work.unit import Unit

SECONDS_TO_ANSWER = 180.0
"""A node that has not answered after this time is told: its disk or its network hangs."""


@dataclass(frozen=True)
class Node:
    """A node of a Ray cluster, as Ray knows it.

    Args:
        number: Ray's number of the node.
        address: its address in the network.
        cores: number of cores that it offers.
        memory_bytes: main memory that it offers, in bytes.
        gpus: number of GPUs that it offers.
    """

    number: str
    address: str
    cores: int
    memory_bytes: int
    gpus: float

    @property
    def offers(self) -> str:
        """What it offers, in words."""
        gpus = f", {self.gpus:g} {'GPU' if self.gpus == 1 else 'GPUs'}" if self.gpus else ""
        return f"{self.address}: {self.cores} cores, {readable_bytes(self.memory_bytes)}{gpus}"


def nodes_of_cluster() -> list[Node]:
    """Return the nodes that live and offer cores; a head without any does no unit."""
    import ray

    alive = [node for node in ray.nodes() if node["Alive"]]
    nodes = [_node(node["NodeID"], node["NodeManagerAddress"], node["Resources"]) for node in alive]
    return [node for node in nodes if node.cores > 0]


def check_nodes(run: WorkFolder, nodes: Sequence[Node]) -> None:
    """Look at every node.

    Args:
        run: RUN folder that each of them must see under the same path.
        nodes: nodes that units may be placed on.

    Raises:
        InputError: there are none, or nodes differ from this process, or see another folder; each is told with what
            is wrong.
    """
    if not nodes:
        raise InputError("--engine ray: no node of this cluster offers a core; `ray status` shows them")
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    expected = ray_node.environment_here()
    with _file_for_all(run) as (name, content):
        look = ray.remote(ray_node.look)
        asked = {
            node: look.options(
                num_cpus=0,
                max_retries=0,
                scheduling_strategy=NodeAffinitySchedulingStrategy(node.number, soft=False),
            ).remote(str(run.path.absolute()), name, content, node.number)
            for node in nodes
        }
        found = {node: _answer(run, name, node, expected, reference) for node, reference in asked.items()}
    if wrong := [text for text in found.values() if text]:
        count = len(wrong)
        heading = (
            f"{count} of {len(nodes)} {'node' if len(nodes) == 1 else 'nodes'} cannot do this run; nothing was placed"
        )
        advice = (
            "All nodes need the same environment and the RUN folder, by the same path, on a disk that they share; "
            "mend these nodes, or take them out of the cluster (ray stop)"
        )
        raise InputError("\n".join([f"{heading}:", *(f"  {text}" for text in wrong), advice]))


def cores_for(unit: Unit, nodes: Sequence[Node]) -> int:
    """Return the cores that a unit gets: as many as it can use, and no more than a node has that fits it.

    Raises:
        InputError: no node has the memory and the GPUs that the unit needs.
    """
    needs = unit.needs
    fit = [node.cores for node in nodes if node.gpus >= needs.gpus and node.memory_bytes >= (needs.memory_bytes or 0)]
    if not fit:
        gpus = f"{needs.gpus} {'GPU' if needs.gpus == 1 else 'GPUs'}" if needs.gpus else ""
        memory = f"{readable_bytes(needs.memory_bytes)} of memory" if needs.memory_bytes else ""
        raise InputError(
            f"{unit.name}: needs {' and '.join(filter(None, (gpus, memory)))}, which no node of the cluster offers "
            f"({'; '.join(node.offers for node in nodes)}); add such a node, or plan for less (--memory, --device)"
        )
    return max(1, min(needs.cores, max(fit)))


def _node(number: str, address: str, offers: dict[str, float]) -> Node:
    return Node(number, address, int(offers.get("CPU", 0)), int(offers.get("memory", 0)), offers.get("GPU", 0.0))


@contextmanager
def _file_for_all(run: WorkFolder) -> Iterator[tuple[str, str]]:
    """Write a file that every node must see; its name and its content cannot be foreseen."""
    file, content = hidden_name(run.work, "nodes"), secrets.token_hex(16)
    write_text(file, content)
    try:
        yield file.name, content
    finally:
        for left in (file, *run.work.glob(f"{file.name}.*")):
            with suppress(OSError):
                left.unlink()


def _answer(run: WorkFolder, name: str, node: Node, expected: dict[str, str], reference: Any) -> str:
    """What is wrong with a node, in words; empty where nothing is."""
    import ray

    try:
        found: dict[str, str] = ray.get(reference, timeout=SECONDS_TO_ANSWER)
    except ray.exceptions.GetTimeoutError:
        return f"{node.address}: does not answer; is a disk of it out of reach?"
    except ray.exceptions.RayError as error:
        return f"{node.address}: autoseg cannot be run there ({_cause(error)})"
    told = [ray_node.differences(expected, found) and f"has {ray_node.differences(expected, found)}"]
    told += [found["folder"] or _written(run.work / f"{name}.{node.number}", run)]
    told = [text for text in told if text]
    return f"{found['host']} ({node.address}): {'; '.join(told)}" if told else ""


def _written(file: Path, run: WorkFolder) -> str:
    """Whether what a node wrote is here."""
    return "" if ray_node.appears(file) else f"what it writes into {run.path} is not seen here"


def _cause(error: Exception) -> str:
    """The last line of what Ray tells."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__
