"""The batches of a training, each made from the number of its step: cases and places are drawn, then patches are made.

In: folders of preprocessed cases and a configuration. Out: the batch of any step. A patch depends only on (seed, fold,
step, place in the batch).
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from autoseg.errors import AutosegError, TrainingDataError
from autoseg.image.labels import Labels
from autoseg.plan.configuration import Configuration
from autoseg.plan.network_input import InputLayout
from autoseg.run_folder.preprocessed_case import CaseRecord
from trainer.data.augmentation import augmented_patch, plain_patch
from trainer.data.batch import Batch
from trainer.data.case_store import CaseStore, StoredCase
from trainer.data.drawn_batch import DrawnBatch, joined
from trainer.data.drawn_patch import DrawnPatch, draw_patch
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
from trainer.data.spatial import ReadRegion
from trainer.lesion_loss import lesions_for_loss

Made = tuple[NDArray[np.float32], NDArray[np.uint8]]
"""Input of the network (C, z, y, x) and label (z, y, x) of a patch."""

Drawn = tuple[DrawnPatch, tuple[NDArray[np.float32], ...], NDArray[np.uint8]]
"""A patch whose image is still to be made: what is to be done, with which values, and the label (z, y, x)."""

Patch = TypeVar("Patch")


@dataclass(frozen=True)
class Failure:
    """An error in a worker, sent to the process that trains.

    Args:
        message: message of the error.
        details: text of its traceback in the worker.
    """

    message: str
    details: str


@dataclass(frozen=True)
class _Source:
    """Where a patch is taken from, and what augments it.

    Args:
        folder: folder of the case.
        record: record of the case.
        read: function that reads image and label of a box inside the case.
        place: position of the patch in the case.
        available: for each sequence that the network sees whether the patch has it.
        rngs: random generators for spatial transforms and for intensity transforms.
    """

    folder: Path
    record: CaseRecord
    read: ReadRegion
    place: Place
    available: tuple[bool, ...]
    rngs: tuple[np.random.Generator, np.random.Generator]


@dataclass(frozen=True, eq=False)
class StepBatches(Dataset):
    """Data set whose item `step` is the batch of that step; the item depends on the step only.

    Args:
        folders: folders of the preprocessed training cases, ordered.
        with_foreground: for each of them whether it has foreground.
        missing: for each of them which classes are missing for the loss, (N, C); None = none in any of them.
        configuration: configuration that holds patch size, batch size and training settings.
        layout: layout of the network's input.
        labels: classes and regions of the data set.
        seed: random seed of the plan, and index of the fold.
        places: places of a batch whose patches are made.
        store: reader of the cases.
        augment: whether patches are augmented.
        for_device: whether the device that trains makes the images of augmented patches.
    """

    folders: tuple[Path, ...]
    with_foreground: tuple[bool, ...]
    missing: NDArray[np.bool_] | None
    configuration: Configuration
    layout: InputLayout
    labels: Labels
    seed: tuple[int, int]
    places: range
    store: CaseStore
    augment: bool = True
    for_device: bool = False

    def __getitem__(self, step: int) -> Batch | DrawnBatch | Failure:
        """The batch of a step; a `Failure` if a patch could not be made."""
        try:
            with _one_thread():
                return self._drawn_batch(step) if self.augment and self.for_device else self._batch(step)
        except AutosegError as error:
            return Failure(str(error), traceback.format_exc())

    def _batch(self, step: int) -> Batch:
        patches, folders = zip(*(self._patch(step, place, self._made) for place in self.places), strict=True)
        image, label = (np.stack(arrays) for arrays in zip(*patches, strict=True))
        missing = self._missing_in(folders)
        lesions = lesions_for_loss(label, self.configuration, self.labels, missing)
        return Batch(torch.from_numpy(image), torch.from_numpy(label), step, lesions, _tensor(missing))

    def _drawn_batch(self, step: int) -> DrawnBatch:
        drawn, folders = zip(*(self._patch(step, place, self._drawn) for place in self.places), strict=True)
        patches, values, labels = zip(*drawn, strict=True)
        label, missing = np.stack(labels), self._missing_in(folders)
        lesions = lesions_for_loss(label, self.configuration, self.labels, missing)
        together = joined([array for arrays in values for array in arrays])
        return DrawnBatch(together, patches, self.layout, torch.from_numpy(label), step, lesions, _tensor(missing))

    def _missing_in(self, folders: Sequence[Path]) -> NDArray[np.bool_] | None:
        """For the case of each patch which classes nobody looked for (B, C)."""
        if self.missing is None:
            return None
        return self.missing[[self.folders.index(folder) for folder in folders]]

    def _patch(self, step: int, place: int, make: Callable[[_Source], Patch]) -> tuple[Patch, Path]:
        """Choose where the patch comes from, and make it; with the folder of its case."""
        source = self._source(step, place)
        try:
            return make(source), source.folder
        except AutosegError:
            raise
        except MemoryError:
            raise TrainingDataError(
                f"{source.folder}: too little memory for a patch of it; use fewer workers"
            ) from None
        except Exception as error:
            raise TrainingDataError(
                f"{source.folder}: no patch could be made of step {step} ({type(error).__name__}: {error}); "
                "this is a defect of autoseg, please report it"
            ) from error

    def _made(self, source: _Source) -> Made:
        halo, patch_size = self.layout.halo, self.configuration.patch_size
        if not self.augment:
            image, label = plain_patch(source.read, source.record, source.place, patch_size, halo)
        else:
            image, label = augmented_patch(
                source.read,
                source.record,
                source.place,
                patch_size,
                self.configuration.training,
                source.rngs,
                halo=halo,
                present=source.available,
            )
        return self.layout.assemble(image, source.available), label

    def _drawn(self, source: _Source) -> Drawn:
        return draw_patch(
            source.read,
            source.record,
            source.place,
            self.configuration.patch_size,
            self.configuration.training,
            source.rngs,
            halo=self.layout.halo,
            available=source.available,
        )

    def _source(self, step: int, place: int) -> _Source:
        seeds = np.random.SeedSequence((*self.seed, step, place)).spawn(5)
        rng, spatial, intensity, dropout, pasting = (np.random.default_rng(seed) for seed in seeds)
        training, patch_size = self.configuration.training, self.configuration.patch_size
        foreground = is_foreground_place(place, step, self.configuration.batch_size, training.oversample_foreground)
        case = self.store.open(self.folders[draw_case(rng, self.with_foreground, foreground)])
        where, read = self._place(case, foreground, rng), case.read
        pasted = self._pasted(pasting) if foreground else None
        if pasted is not None:
            case, read = pasted.case, pasted.read
            voxel = pasted.voxels[pasting.integers(len(pasted.voxels))]
            where = place_around(pasting, voxel, case.record.shape, patch_size)
        available = self.layout.available(case.record.present)
        if self.augment:
            available = drop_sequences(dropout, available, training.sequence_dropout)
        return _Source(case.folder, case.record, read, where, available, (spatial, intensity))

    def _pasted(self, rng: np.random.Generator) -> PastedCase | None:
        """Some case with a lesion of another one; None for other patches, in 2D, and where it could not be pasted."""
        if rng.random() >= self.configuration.training.pasted_lesions or 1 in self.configuration.patch_size:
            return None
        donor = self.store.open(self.folders[draw_case(rng, self.with_foreground, True)])
        case = self.store.open(self.folders[draw_case(rng, self.with_foreground, False)])
        if case.folder == donor.folder or case.record.present != donor.record.present or not donor.lesions.classes:
            return None
        if case.record.annotated != donor.record.annotated:
            # what lies around the lesion, or is pasted, may be of a class that nobody looked for in one of the two
            return None
        z, y, x = (length // 2 for length in self.configuration.patch_size)
        lesion = cut_lesion(donor, rng, (z, y, x))
        return None if lesion is None else paste(lesion, case, rng)

    def _place(self, case: StoredCase, foreground: bool, rng: np.random.Generator) -> Place:
        patch_size = self.configuration.patch_size
        if foreground and case.lesions.classes:
            return place_on_foreground(rng, case.lesions, case.record.shape, patch_size)
        if case.annotated is not None:
            voxel = case.annotated[rng.integers(len(case.annotated))].astype(np.int64)
            return place_around(rng, voxel, case.record.shape, patch_size)
        return place_anywhere(rng, case.record.shape, patch_size)


def _tensor(array: NDArray[np.bool_] | None) -> torch.Tensor | None:
    return None if array is None else torch.from_numpy(array)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Context manager that resamples with one thread, so that bits do not depend on the process."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
