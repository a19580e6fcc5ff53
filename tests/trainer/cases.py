"""Synthetic preprocessed cases and configurations for tests of batches."""

from pathlib import Path

import numpy as np

from autoseg.image.geometry import Shape
from autoseg.plan.configuration import Configuration
from autoseg.run_folder.preprocessed_case import Foreground, write_case
from tests.example_plan import example_configuration, example_network
from tests.example_record import example_geometry, example_record
from tests.trainer.tiny_run import make_training

# one stage, which does not pool: any patch fits it
NETWORK = example_network(
    features=(4,), strides=((1, 1, 1),), kernel_sizes=((3, 3, 3),), encoder_blocks=(1,), decoder_blocks=()
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
    record = example_record(example_geometry(shape), case=folder.name, present=present)
    write_case(folder, record, image, label, foreground)
    return image, label


def make_configuration(patch_size: Shape, batch_size: int = 2, **training: object) -> Configuration:
    """A configuration of such patches that is trained like the tiny run, but for the settings in `training`."""
    return example_configuration(
        patch_size=patch_size, batch_size=batch_size, network=NETWORK, training=make_training(**training)
    )
