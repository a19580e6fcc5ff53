"""Prepare training batches in worker processes while the network trains.

In: folders of preprocessed cases and a configuration. Out: a `Batch` for every step, in order. A patch depends only on
(seed, fold, step, place in the batch). So the bits of a batch are the same for any number of workers, and wherever
training is resumed.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import wait
from pathlib import Path
from types import TracebackType
from typing import Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from autoseg.errors import AutosegError, InputError, TrainingDataError
from autoseg.image.annotated_classes import missing_classes
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
from trainer.data.augmentation import augmented_patch, plain_patch
from trainer.data.batch import Batch
from trainer.data.case_store import CaseStore, StoredCase, annotated_in, has_foreground
from trainer.data.pasted_lesion import PastedCase, cut_lesion, paste
from trainer.data.sampling import (
    Place,
    draw_case,
    is_foreground_place,
    place_anywhere,
    place_around,
    place_on_foreground,
)
from trainer.data.sequence_dropout import drop_sequences
from trainer.lesion_loss import lesions_for_loss

LARGEST_CACHE_BYTES = 2**30
SECONDS_AFTER_SIGTERM = 60.0
SECONDS_FOR_SIGNAL = 0.5
Item = TypeVar("Item")


@dataclass(frozen=True)
class _Failure:
    """An error in a worker, sent to the process that trains."""

    message: str
    details: str


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
        made = range(configuration.batch_size) if places is None else places
        missing = missing_classes(labels, [annotated_in(case) for case in cases])
        some = missing if missing.any() else None
        self._dataset = _Batches(
            cases, with_foreground, some, configuration, layout, labels, seed, fold, augment, cache_bytes, made
        )
        self._workers = workers if workers and can_start_workers(with_queues=True) else 0
        self._pin_memory = pin_memory
        self._start_method = start_method
        self._temporary = ExitStack()
        self._items: Iterator[Batch | _Failure] | None = None

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

    def __iter__(self) -> Iterator[Batch]:
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
            if isinstance(item, _Failure):
                raise TrainingDataError(item.message) from RuntimeError(item.details)
            yield item

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


class _Batches(Dataset):
    """Data set whose item `step` is the batch of that step; the item depends on the step only."""

    def __init__(
        self,
        folders: tuple[Path, ...],
        with_foreground: tuple[bool, ...],
        missing: NDArray[np.bool_] | None,
        configuration: Configuration,
        layout: InputLayout,
        labels: Labels,
        seed: int,
        fold: int,
        augment: bool,
        cache_bytes: int,
        places: range,
    ) -> None:
        self._folders = folders
        self._with_foreground = with_foreground
        self._missing = None if missing is None else dict(zip(folders, missing, strict=True))
        self._configuration = configuration
        self._layout = layout
        self._labels = labels
        self._seed = (seed, fold)
        self._augment = augment
        self._places = places
        self._store = CaseStore(cache_bytes, layout.places, configuration.training.sample_by)

    def __getitem__(self, step: int) -> Batch | _Failure:
        """The batch of a step; a `_Failure` if a patch could not be made."""
        try:
            with _one_thread():
                patches = [self._patch(step, place) for place in self._places]
        except AutosegError as error:
            return _Failure(str(error), traceback.format_exc())
        images, arrays, cases = zip(*patches, strict=True)
        label = np.stack(arrays)
        missing = None if self._missing is None else np.stack([self._missing[case] for case in cases])
        lesions = lesions_for_loss(label, self._configuration, self._labels, missing)
        of_patches = None if missing is None else torch.from_numpy(missing)
        return Batch(torch.from_numpy(np.stack(images)), torch.from_numpy(label), step, lesions, of_patches)

    def _patch(self, step: int, place: int) -> tuple[NDArray[np.float32], NDArray[np.uint8], Path]:
        """Image (C, z, y, x) and label (z, y, x) of a patch, and the folder of its case."""
        seeds = np.random.SeedSequence((*self._seed, step, place)).spawn(5)
        rng, spatial, intensity, dropout, pasting = (np.random.default_rng(seed) for seed in seeds)
        training, halo = self._configuration.training, self._layout.halo
        share = training.oversample_foreground
        foreground = is_foreground_place(place, step, self._configuration.batch_size, share)
        folder = self._folders[draw_case(rng, self._with_foreground, foreground)]
        case = self._store.open(folder)
        patch_size = self._configuration.patch_size
        where, read = self._place(case, foreground, rng), case.read
        pasted = self._pasted(pasting) if foreground else None
        if pasted is not None:
            case, read = pasted.case, pasted.read
            voxel = pasted.voxels[pasting.integers(len(pasted.voxels))]
            where = place_around(pasting, voxel, case.record.shape, patch_size)
        available = self._layout.available(case.record.present)
        try:
            if self._augment:
                available = drop_sequences(dropout, available, training.sequence_dropout)
                rngs = (spatial, intensity)
                image, label = augmented_patch(
                    read, case.record, where, patch_size, training, rngs, halo=halo, present=available
                )
            else:
                image, label = plain_patch(read, case.record, where, patch_size, halo)
            return self._layout.assemble(image, available), label, case.folder
        except AutosegError:
            raise
        except MemoryError:
            raise TrainingDataError(f"{folder}: too little memory for a patch of it; use fewer workers") from None
        except Exception as error:
            raise TrainingDataError(
                f"{folder}: no patch could be made of step {step} ({type(error).__name__}: {error}); "
                "this is a defect of autoseg, please report it"
            ) from error

    def _pasted(self, rng: np.random.Generator) -> PastedCase | None:
        """Some case with a lesion of another one; None for other patches, in 2D, and where it could not be pasted."""
        if rng.random() >= self._configuration.training.pasted_lesions or 1 in self._configuration.patch_size:
            return None
        donor = self._store.open(self._folders[draw_case(rng, self._with_foreground, True)])
        case = self._store.open(self._folders[draw_case(rng, self._with_foreground, False)])
        if case.folder == donor.folder or case.record.present != donor.record.present or not donor.lesions.classes:
            return None
        if case.record.annotated != donor.record.annotated:
            # what lies around the lesion, or is pasted, may be of a class that nobody looked for in one of the two
            return None
        z, y, x = (length // 2 for length in self._configuration.patch_size)
        lesion = cut_lesion(donor, rng, (z, y, x))
        return None if lesion is None else paste(lesion, case, rng)

    def _place(self, case: StoredCase, foreground: bool, rng: np.random.Generator) -> Place:
        patch_size = self._configuration.patch_size
        if foreground and case.lesions.classes:
            return place_on_foreground(rng, case.lesions, case.record.shape, patch_size)
        if case.annotated is not None:
            voxel = case.annotated[rng.integers(len(case.annotated))].astype(np.int64)
            return place_around(rng, voxel, case.record.shape, patch_size)
        return place_anywhere(rng, case.record.shape, patch_size)


def _unchanged(item: Item) -> Item:
    return item


@contextmanager
def _one_thread() -> Iterator[None]:
    """Context manager that resamples with one thread, so that bits do not depend on the process."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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
