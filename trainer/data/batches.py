"""Prepare training batches in worker processes while the network trains.

In: folders of preprocessed cases and a configuration. Out: a `Batch` for every step, in order, or a `DrawnBatch` where
the device that trains makes the images. A patch depends only on (seed, fold, step, place in the batch). So the bits of
a batch are the same for any number of workers, and wherever training is resumed.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from multiprocessing.connection import wait
from pathlib import Path
from types import TracebackType
from typing import Literal, TypeVar

import torch
from torch.utils.data import DataLoader

from autoseg.errors import InputError, TrainingDataError
from autoseg.image.annotated_classes import missing_in_training
from autoseg.image.labels import Labels
from autoseg.machine.passing_files import (
    MORE_SHARED_MEMORY,
    SHARED_MEMORY,
    folder_of_workers,
    keep_temporary_files_in,
    named_semaphores,
)
from autoseg.machine.processes import WORKERS, can_start_workers, no_more_processes, starting
from autoseg.machine.stop_signals import leave_stopping_to_the_parent
from autoseg.machine.worker_pool import cause_of_end
from autoseg.memory import free_memory, lacks_shared_memory
from autoseg.plan.configuration import Configuration
from autoseg.plan.network_input import InputLayout
from autoseg.run_folder.preprocessed_case import read_record
from trainer.data.batch import Batch
from trainer.data.case_store import CaseStore, annotated_in, has_foreground
from trainer.data.drawn_batch import DrawnBatch
from trainer.data.step_batches import Failure, StepBatches

LARGEST_CACHE_BYTES = 2**30
SECONDS_AFTER_SIGTERM = 60.0
SECONDS_FOR_SIGNAL = 0.5
Item = TypeVar("Item")


class BatchLoader:
    """Iterable over the batches of the steps from `first_step` to `last_step` (excluded); a context manager.

    Args:
        folders: folders of the preprocessed training cases; their order does not matter.
        configuration: configuration that holds patch size, batch size and training settings.
        layout: layout of the network's input; None = the preprocessed channels as they are.
        seed: random seed of the plan.
        fold: index of the fold; each fold draws other patches.
        first_step: step of the first batch.
        last_step: step before which the batches end; None = no end.
        workers: number of processes that prepare batches; 0 = they are prepared in the calling process. So they are
            where processes cannot be started.
        labels: classes and regions of the data set.
        augment: whether patches are augmented; if not, patches from the same places are cut as they are.
        for_device: whether patches are augmented by the device that trains: batches are `DrawnBatch`es then.
        pin_memory: whether batches lie in page-locked memory, from which a GPU copies faster.
        start_method: how worker processes are started; `spawn` works on every system.
        cache_bytes: memory of each process for decompressed cases in bytes; None = a share of the free memory, at
            most 1 GiB.
        beside: number of trainings that share the free memory, this one included.
        places: places of a batch whose patches are made; None = all.

    Raises:
        TrainingDataError: there is no case, or a case is not preprocessed or is damaged.
        InputError: the number of workers is negative.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        configuration: Configuration,
        *,
        seed: int,
        fold: int,
        first_step: int,
        workers: int,
        last_step: int | None = None,
        layout: InputLayout | None = None,
        labels: Labels,
        augment: bool = True,
        for_device: bool = False,
        pin_memory: bool = False,
        start_method: Literal["spawn", "fork", "forkserver"] = "spawn",
        cache_bytes: int | None = None,
        beside: int = 1,
        places: range | None = None,
    ) -> None:
        if not folders:
            raise TrainingDataError("there is no case to train on; the fold's training cases in splits.json are empty")
        if workers < 0:
            raise InputError(f"workers = {workers}: must be 0 (no process of their own) or more")
        if cache_bytes is None:
            cache_bytes = min(LARGEST_CACHE_BYTES, free_memory() // (4 * max(workers, 1) * beside))
        cases = tuple(sorted(folders, key=lambda folder: folder.name))
        self._steps = range(first_step, sys.maxsize if last_step is None else last_step)
        with_foreground = tuple(has_foreground(c) for c in cases)
        layout = layout or InputLayout.plain(len(read_record(cases[0]).present))
        self._dataset = StepBatches(
            cases,
            with_foreground,
            missing_in_training(labels, [annotated_in(case) for case in cases]),
            configuration,
            layout,
            labels,
            (seed, fold),
            range(configuration.batch_size) if places is None else places,
            CaseStore(cache_bytes, layout.places, configuration.training.sample_by),
            augment,
            for_device,
        )
        self._workers = workers if workers and can_start_workers(with_queues=True) else 0
        self._pin_memory = pin_memory
        self._start_method = start_method
        self._temporary = ExitStack()
        self._items: Iterator[Batch | DrawnBatch | Failure] | None = None

    def __enter__(self) -> BatchLoader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the workers. If a worker died suddenly, replace torch's error by one that explains it."""
        # a text and not the new error, which would refer to itself by this frame, and keep torch's iterator alive
        why = None
        if isinstance(error, RuntimeError) and ("DataLoader worker" in str(error) or lacks_shared_memory(error)):
            why = self._why_worker_ended(error)
        self._items = None
        self._temporary.close()
        if why is not None:
            raise TrainingDataError(why) from error

    def __iter__(self) -> Iterator[Batch | DrawnBatch]:
        """Yield the batches from `first_step` on.

        Raises:
            TrainingDataError: a patch could not be made, and the message names the case; or a worker died.
        """
        try:
            with starting(), named_semaphores():
                self._items = iter(self._loader())
        except BlockingIOError as error:
            raise TrainingDataError(no_more_processes(error)) from None
        for _ in self._steps:
            # no local name refers to the iterator, so that leaving the block ends the workers
            if self._items is None:
                return
            try:
                item = next(self._items)
            except (OSError, EOFError) as error:
                # the connection to a worker broke in the middle of a batch; torch also reports the worker's death by a
                # signal, possibly a little later: wait for it here, so that it does not interrupt the error report
                with suppress(RuntimeError):
                    time.sleep(SECONDS_FOR_SIGNAL)
                raise TrainingDataError(self._why_worker_ended(error)) from error
            yield _without_failure(item)

    def prepared_here(self, step: int) -> Batch | DrawnBatch:
        """The batch of a step, prepared in the calling process.

        Raises:
            TrainingDataError: a patch could not be made, and the message names the case.
        """
        return _without_failure(self._dataset[step])

    def _why_worker_ended(self, error: BaseException) -> str:
        if lacks_shared_memory(error):
            return (
                f"the shared memory ({SHARED_MEMORY}) is full, through which the processes that prepare batches hand "
                f"them over; {MORE_SHARED_MEMORY}; the same command goes on from the checkpoint"
            )
        codes = [worker.exitcode for worker in getattr(self._items, "_workers", ())]
        ended = [code for code in codes if code]
        # a process that was killed is the cause, and others may have ended because of it
        cause = cause_of_end(min(ended)) if ended else f"ended ({next(iter(str(error).splitlines()), 'unknown')})"
        fewer = (
            f"use fewer than {self._workers} workers (--workers), which need less memory; "
            if not ended or min(ended) == -9
            else ""
        )
        return f"a process that prepares batches {cause}; {fewer}the same command goes on from the checkpoint"

    def _loader(self) -> DataLoader:
        several = self._workers > 0
        temporary = self._temporary.enter_context(folder_of_workers()) if several else None
        spawned = WORKERS if self._start_method == "spawn" else multiprocessing.get_context(self._start_method)
        return DataLoader(
            self._dataset,
            batch_size=None,
            sampler=self._steps,
            collate_fn=_unchanged,
            num_workers=self._workers,
            multiprocessing_context=spawned if several else None,
            worker_init_fn=partial(_begin_worker, temporary=temporary) if several else None,
            prefetch_factor=2 if several else None,
            pin_memory=self._pin_memory,
            # an own generator, because the global one belongs to the training and is restored when it is resumed
            generator=torch.Generator(),
        )


def _without_failure(item: Batch | DrawnBatch | Failure) -> Batch | DrawnBatch:
    if isinstance(item, Failure):
        raise TrainingDataError(item.message) from RuntimeError(item.details)
    return item


def _unchanged(item: Item) -> Item:
    return item


def _begin_worker(_: int, temporary: Path | None) -> None:
    """Make a worker process end when its parent ends, and not before, and keep its temporary files in a folder.

    Signals that a terminal or a scheduler sends to the whole process group are left to the parent, which still takes
    batches while it finishes its step.
    """
    if temporary is not None:
        keep_temporary_files_in(temporary)
    signal.signal(signal.SIGTERM, _end_later)
    leave_stopping_to_the_parent()
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_later(*_: object) -> None:
    timer = threading.Timer(SECONDS_AFTER_SIGTERM, os._exit, args=(1,))
    timer.daemon = True
    timer.start()


def _end_with(sentinel: int) -> None:
    """Wait until the parent process has ended, for whatever reason, and end this process at once."""
    wait([sentinel])
    os._exit(1)
