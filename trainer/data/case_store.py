"""The preprocessed cases of a fold as one process sees them: opened once, kept in memory if they fit.

In: folders of preprocessed cases. Out: boxes of image and label, and the voxels to draw from. Every
process that makes patches has a store of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import blosc2
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from autoseg.errors import AutosegError, TrainingDataError
from autoseg.image.geometry import Shape
from autoseg.run_folder.preprocessed_case import CaseRecord, open_case, read_record
from trainer.data.sampling import LesionVoxels


@dataclass(frozen=True)
class StoredCase:
    """An opened case.

    Args:
        image: (C, z, y, x), in memory or on disk, where it is read box by box.
        channels: those of `image` that are read, in order.
        label: (z, y, x), likewise.
        lesions: its foreground voxels.
    """

    folder: Path
    record: CaseRecord
    image: NDArray[np.float32] | blosc2.NDArray
    channels: tuple[int, ...]
    label: NDArray[np.uint8] | blosc2.NDArray
    lesions: LesionVoxels

    def read(self, lower: Shape, upper: Shape) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Copies of image (C, z, y, x), of `channels` alone, and label (z, y, x) from `lower` to `upper` (excluded).

        Raises:
            TrainingDataError: a file is damaged.
        """
        box = tuple(slice(first, last) for first, last in zip(lower, upper, strict=True))
        with damage_named(self.folder):
            image = np.concatenate([self.image[(slice(c, c + 1), *box)] for c in self.channels], dtype=np.float32)
            return image, np.array(self.label[box], dtype=np.uint8)


class CaseStore:
    """Opens cases where they are asked for and keeps them, decompressed, as long as there is room.

    Cases are drawn at random, so none is more worth keeping than another: the first ones that fit
    stay, the rest are read from disk chunk by chunk.

    Args:
        cache_bytes: memory for decompressed cases.
        channels: those that are read; the others are not kept in memory either.
        sample_by: how their foreground voxels are drawn, as in the plan.
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
            TrainingDataError: it is not preprocessed or damaged, or lacks what `sample_by` needs.
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
            case = StoredCase(folder, opened.record, opened.image, self._channels, opened.label, lesions)
            needed = opened.image.nbytes * len(self._channels) // len(opened.record.present)
            needed += opened.label.nbytes + lesions.nbytes
            if needed <= self._room:
                image = np.concatenate([opened.image[c : c + 1] for c in self._channels])
                kept = tuple(range(len(self._channels)))
                case = StoredCase(folder, opened.record, image, kept, opened.label[:], lesions)
                self._room -= needed
                self._kept[folder] = case
        return case


def has_foreground(folder: Path) -> bool:
    """Whether a case has voxels to centre patches on; reads headers only.

    Raises:
        TrainingDataError: it is not preprocessed or damaged.
    """
    with damage_named(folder):
        read_record(folder)
        with safe_open(folder / "foreground.safetensors", framework="numpy") as file:
            return bool(file.get_slice("voxels").get_shape()[0])


@contextmanager
def damage_named(folder: Path) -> Iterator[None]:
    """Turn whatever reading the files of a case raises into an error that names its folder."""
    try:
        yield
    except AutosegError as error:
        raise TrainingDataError(str(error)) from None
    except (OSError, RuntimeError, ValueError, KeyError, SafetensorError) as error:
        raise TrainingDataError(
            f"{folder}: damaged ({error}); delete this folder and run `autoseg plan-and-preprocess` again"
        ) from error
