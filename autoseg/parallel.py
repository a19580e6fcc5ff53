"""Work over many cases: several processes, a progress bar with time left, errors that arrive."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import psutil
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from autoseg.console import open_console
from autoseg.free_memory import free_memory
from autoseg.worker_pool import completed

Item = TypeVar("Item")
Result = TypeVar("Result")


def progress_bar(console: Console | None = None) -> Progress:
    """The project's progress bar: what, how far, how long it took, how long it will take."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console or open_console(stderr=True),
    )


def available_cores() -> int:
    """Cores that this process may use, which can be fewer than the machine has."""
    return len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else psutil.cpu_count() or 1


def workers_within_memory(bytes_per_worker: int, at_most: int | None = None) -> int:
    """As many workers as there are cores, and as fit into three quarters of the free memory."""
    fitting = int(0.75 * free_memory() / max(bytes_per_worker, 1))
    return max(1, min(available_cores() if at_most is None else at_most, fitting))


def map_cases(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int,
    description: str,
    *,
    name: Callable[[Item], str] = str,
) -> list[Result]:
    """Apply a picklable `function` to every item in spawned processes; results in the items' order.

    With one worker everything runs in this process. An exception of a worker is raised here. A
    worker that dies is named with its item and cause, and the item is tried once more, alone.

    Args:
        function: picklable, as are the items and results.
        items: one call each.
        workers: processes at most.
        description: what is being done, beside the progress bar.
        name: of an item, for messages.

    Raises:
        WorkerDied: the second try died too.
    """
    results: dict[int, Result] = {}
    with progress_bar() as bar:
        task = bar.add_task(description, total=len(items))
        if workers <= 1 or len(items) <= 1:
            done: Iterable[tuple[int, Result]] = ((i, function(item)) for i, item in enumerate(items))
        else:
            done = completed(function, items, min(workers, len(items)), name=name, tell=bar.console.print)
        for index, result in done:
            results[index] = result
            bar.advance(task)
    return [results[i] for i in range(len(items))]
