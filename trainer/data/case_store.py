"""Open the preprocessed cases of a fold, and keep them in memory if they fit.

In: folders of preprocessed cases. Out: boxes of image and label, and the voxels to draw patches from. Every process
that makes patches has a store of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import blosc2
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from autoseg.errors import AutosegError, TrainingDataError
from autoseg.image.annotated_classes import AnnotatedClasses
from autoseg.image.geometry import Shape
from autoseg.run_folder.preprocessed_case import CaseRecord, Foreground, open_case, read_record
from trainer.data.sampling import LesionVoxels


@dataclass(frozen=True)
class StoredCase:
    """An opened case.

    Args:
        folder: folder of the preprocessed case.
        record: record of the case, with its shape, spacing and present channels.
        image: image (C, z, y, x), in memory, or on disk from where it is read box by box.
        channels: indices of the channels of `image` that are read, in order.
        label: label (z, y, x), in memory or on disk like the image.
        lesions: foreground voxels of the case.
        annotated: some annotated voxels (n, 3) of a case that has others too; None where every voxel is annotated.
    """

    folder: Path
    record: CaseRecord
    image: NDArray[np.float32] | blosc2.NDArray
    channels: tuple[int, ...]
    label: NDArray[np.uint8] | blosc2.NDArray
    lesions: LesionVoxels
    annotated: NDArray[np.int32] | None = None

    def read(self, lower: Shape, upper: Shape) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Copies of image (C, z, y, x) and label (z, y, x) of a box; the image has only the channels `channels`.

        Args:
            lower: first voxel (z, y, x) of the box.
            upper: last voxel (z, y, x) of the box, excluded.

        Raises:
            TrainingDataError: a file is damaged.
        """
        box = tuple(slice(first, last) for first, last in zip(lower, upper, strict=True))
        with damage_named(self.folder):
            image = np.concatenate([self.image[(slice(c, c + 1), *box)] for c in self.channels], dtype=np.float32)
            return image, np.array(self.label[box], dtype=np.uint8)


class CaseStore:
    """Opens cases on demand and keeps them decompressed in memory, as long as there is room.

    Cases are drawn at random, so none is more worth keeping than another. The first cases that fit stay in memory; the
    others are read from disk chunk by chunk.

    Args:
        cache_bytes: memory for decompressed cases in bytes.
        channels: indices of the preprocessed channels that are read; only these are kept in memory.
        sample_by: how foreground voxels are drawn, as in the plan: by `lesion` or by `voxel`.
    """

    def __init__(
        self, cache_bytes: int, channels: tuple[int, ...], sample_by: Literal["lesion", "voxel"] = "lesion"
    ) -> None:
        self._room = cache_bytes
        self._channels = channels
        self._sample_by = sample_by
        self._kept: dict[Path, StoredCase] = {}

    def open(self, folder: Path) -> StoredCase:
        """The case in `folder`.

        Raises:
            TrainingDataError: the case is not preprocessed or is damaged, or it lacks what `sample_by` needs.
        """
        if folder in self._kept:
            return self._kept[folder]
        with damage_named(folder):
            opened = open_case(folder)
            if self._sample_by == "voxel" and opened.foreground.weights is None:
                raise TrainingDataError(
                    f"{folder}: preprocessed by an earlier version, without what `sample_by: voxel` needs; "
                    "delete this folder and run `autoseg plan-and-preprocess` again"
                )
            lesions = LesionVoxels(opened.foreground, self._sample_by)
            case = StoredCase(
                folder,
                opened.record,
                opened.image,
                self._channels,
                opened.label,
                lesions,
                annotated_voxels(opened.foreground),
            )
            needed = opened.image.nbytes * len(self._channels) // len(opened.record.present)
            needed += opened.label.nbytes + lesions.nbytes
            if needed <= self._room:
                image = np.concatenate([opened.image[c : c + 1] for c in self._channels])
                kept = tuple(range(len(self._channels)))
                case = replace(case, image=image, channels=kept, label=opened.label[:])
                self._room -= needed
                self._kept[folder] = case
        return case


def has_foreground(folder: Path) -> bool:
    """Whether a case has foreground voxels to centre patches on; no voxel of image or label is read.

    Raises:
        TrainingDataError: the case is not preprocessed or is damaged.
    """
    with damage_named(folder):
        read_record(folder)
        with safe_open(folder / "foreground.safetensors", framework="numpy") as file:
            return bool(file.get_tensor("classes").any())


def annotated_in(folder: Path) -> AnnotatedClasses:
    """The classes that were looked for in a case.

    Raises:
        TrainingDataError: the case is not preprocessed or is damaged.
    """
    with damage_named(folder):
        return read_record(folder).annotated


def annotated_voxels(foreground: Foreground) -> NDArray[np.int32] | None:
    """The annotated voxels (n, 3) of any class; None where the case has none stored, as every voxel is annotated."""
    annotated = foreground.voxels[foreground.classes == 0]
    return annotated if len(annotated) else None


@contextmanager
def damage_named(folder: Path) -> Iterator[None]:
    """Context manager that turns any error in reading the files of a case into an error that names its folder."""
    try:
        yield
    except AutosegError as error:
        raise TrainingDataError(str(error)) from None
    except (OSError, RuntimeError, ValueError, KeyError, SafetensorError) as error:
        raise TrainingDataError(
            f"{folder}: damaged ({error}); delete this folder and run `autoseg plan-and-preprocess` again"
        ) from error
