"""Work over many cases: several at once, a progress bar with time left, errors that arrive."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

from threadpoolctl import threadpool_limits

from autoseg.machine.cores import available_cores
from autoseg.machine.memory import free_memory
from autoseg.machine.worker_pool import completed
from autoseg.terminal import progress_bar

Item = TypeVar("Item")
Result = TypeVar("Result")


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
    small: bool = False,
) -> list[Result]:
    """Apply a picklable `function` to every item in spawned processes; results in the items' order.

    With one worker everything runs in this process. An exception of a worker is raised here. A
    worker that dies is named with its item and cause, and the item is tried once more, alone.

    Args:
        function: picklable, as are the items and results.
        items: one call each.
        workers: at once, at most.
        description: what is being done, beside the progress bar.
        name: of an item, for messages.
        small: all items together take so little that processes would take longer to start than they save: the
            workers are threads of this process. Then `function` must be safe to be called by several.

    Raises:
        WorkerDied: the second try died too.
    """
    results: dict[int, Result] = {}
    with progress_bar() as bar:
        task = bar.add_task(description, total=len(items))
        if workers <= 1 or len(items) <= 1:
            done: Iterable[tuple[int, Result]] = ((i, function(item)) for i, item in enumerate(items))
        elif small:
            done = _in_threads(function, items, workers)
        else:
            done = completed(function, items, min(workers, len(items)), name=name, tell=bar.console.print)
        for index, result in done:
            results[index] = result
            bar.advance(task)
    return [results[i] for i in range(len(items))]


def _in_threads(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int
) -> Iterator[tuple[int, Result]]:
    """Index and result of each item as it is completed; after an error or an interruption none is begun."""
    # the limit is of the process: set once around all threads, of which each would restore what another had set
    with threadpool_limits(limits=1), ThreadPoolExecutor(workers) as pool:
        futures = {pool.submit(function, item): index for index, item in enumerate(items)}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)
