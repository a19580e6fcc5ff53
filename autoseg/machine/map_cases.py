"""Parallel work over many cases, with a progress bar; errors of the workers are raised in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Generic, TypeVar

from threadpoolctl import threadpool_limits

from autoseg.errors import NotEnoughMemory
from autoseg.machine.cores import available_cores
from autoseg.machine.processes import can_start_workers
from autoseg.machine.worker_pool import completed
from autoseg.memory import free_memory, lacks_memory
from autoseg.terminal import progress_bar

Item = TypeVar("Item")
Result = TypeVar("Result")

SECONDS_TO_LOAD, BESIDE_EACH_OTHER = 8.0, 1.5
"""Seconds that a worker takes to start, and factor on the time of a case while all cores compute."""


def workers_within_memory(bytes_per_worker: int, at_most: int | None = None) -> int:
    """Return how many workers fit into three quarters of the free memory, at least one.

    Args:
        bytes_per_worker: memory that one worker needs, in bytes.
        at_most: largest number of workers; None = the number of cores that this process may use.
    """
    fitting = int(0.75 * free_memory() / max(bytes_per_worker, 1))
    return max(1, min(available_cores() if at_most is None else at_most, fitting))


def expected_seconds(a_case: float, cases: int, workers: int, passes: int = 1) -> float:
    """Expected seconds of `map_cases` over many cases.

    Args:
        a_case: seconds that a case takes alone, over all passes.
        cases: number of cases.
        workers: largest number of cases at the same time.
        passes: number of calls of `map_cases`; each starts its own processes.
    """
    if workers == 1:
        return a_case * cases
    return passes * SECONDS_TO_LOAD + BESIDE_EACH_OTHER * a_case * cases / workers


def map_cases(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int,
    description: str,
    *,
    name: Callable[[Item], str] = str,
    small: bool = False,
) -> list[Result]:
    """Apply `function` to every item in spawned processes, and return the results in the items' order.

    With one worker everything runs in this process. An exception of a worker is raised here. If a worker process
    dies, a message names its item and the cause, and the item is tried once more, alone.

    Args:
        function: function of one item; it must be picklable, as must be the items and the results.
        items: arguments of the calls.
        workers: largest number of calls that run at the same time.
        description: text beside the progress bar that says what is being done.
        name: function that names an item in messages.
        small: True where all items together take less time than starting processes. The workers are then threads
            of this process, and `function` must be thread-safe. So they are where processes cannot be started.

    Raises:
        WorkerDied: a process died also in the second attempt at its item.
        NotEnoughMemory: an item takes more memory than there is.
    """
    work = _WithMemoryTold(function, description)
    named = [(name(item), item) for item in items]
    results: dict[int, Result] = {}
    with progress_bar() as bar:
        task = bar.add_task(description, total=len(items))
        if workers <= 1 or len(items) <= 1:
            done: Iterable[tuple[int, Result]] = ((i, work(item)) for i, item in enumerate(named))
        elif small or not can_start_workers():
            done = _in_threads(work, named, workers)
        else:
            done = completed(work, named, min(workers, len(items)), name=_name, tell=bar.console.print)
        for index, result in done:
            results[index] = result
            bar.advance(task)
    return [results[i] for i in range(len(items))]


def _name(named: tuple[str, Item]) -> str:
    return named[0]


@dataclass(frozen=True)
class _WithMemoryTold(Generic[Item, Result]):
    """The function of one item, with its name; its lack of memory is told with the stage and the name."""

    function: Callable[[Item], Result]
    description: str

    def __call__(self, named: tuple[str, Item]) -> Result:
        try:
            return self.function(named[1])
        except Exception as error:
            if not lacks_memory(error):
                raise
            raise NotEnoughMemory(
                f"{named[0]}: there is not enough memory ({self.description}); free some, use fewer --workers, "
                "or leave this case out"
            ) from None


def _in_threads(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int
) -> Iterator[tuple[int, Result]]:
    """Yield index and result of each item as it is completed; no further item begins after an error."""
    # the limit holds for the whole process, so it is set once; threads that set it would undo each other's settings
    with threadpool_limits(limits=1), ThreadPoolExecutor(workers) as pool:
        futures = {pool.submit(function, item): index for index, item in enumerate(items)}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)
