"""Synthetic preprocessed cases and configurations for tests of batches."""

from pathlib import Path

import numpy as np

from autoseg.image.geometry import IDENTITY, Geometry, Shape, Spacing
from autoseg.plan.configuration import Configuration
from autoseg.run_folder.preprocessed_case import CaseRecord, Foreground, write_case
from tests.trainer.conftest import make_plan, make_training


def make_record(name: str, shape: Shape, present: tuple[bool, ...], spacing: Spacing = (1.0, 1.0, 1.0)) -> CaseRecord:
    geometry = Geometry(shape, spacing, (0.0, 0.0, 0.0), ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)))
    return CaseRecord(
        case=name,
        stored=geometry,
        reorientation=IDENTITY,
        crop_lower=(0, 0, 0),
        crop_upper=shape,
        spacing=spacing,
        shape=shape,
        present=present,
    )


def write_noise_case(
    folder: Path, shape: Shape, *, seed: int, present: tuple[bool, ...] = (True,), lesions: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """A case of noise with a large cube of class 1 and one voxel of class 2, or no foreground at all."""
    rng = np.random.default_rng(seed)
    image = rng.standard_normal((len(present), *shape)).astype(np.float32)
    image[~np.asarray(present)] = 0
    label = np.zeros(shape, np.uint8)
    if lesions:
        label[1:5, 1:5, 1:5] = 1
        label[tuple(n - 2 for n in shape)] = 2
    voxels = np.argwhere(label).astype(np.int32)
    folder.mkdir(parents=True)
    foreground = Foreground(voxels, label[tuple(voxels.T)], np.zeros(len(voxels), np.int32))
    write_case(folder, make_record(folder.name, shape, present), image, label, foreground)
    return image, label


def make_configuration(patch_size: Shape, batch_size: int = 2, **training: object) -> Configuration:
    configuration = make_plan(make_training(**training)).configurations["3d"]
    # the network, which tests of batches do not build, need not fit the patch
    return configuration.model_copy(update={"patch_size": patch_size, "batch_size": batch_size})
