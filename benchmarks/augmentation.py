"""Measures augmented patches per second on one core, with autoseg's own transforms and with batchgenerators'.

    python -m benchmarks.augmentation [--augmentation autoseg batchgenerators] [--batches 40]

For each `training.augmentation` of a plan, the time is that of the batches a network is trained with: sampling,
reading, augmentation and stacking, once with the cases kept in memory and once read from disk. Below, batchgenerators
alone gets patches that are already in memory and already enlarged for rotation; it uses nnU-Net's probabilities and
ranges, with linear and with third-order interpolation. Times are processor time of one thread. The Dice of both is
compared by `python -m benchmarks.lesions FOLDER --data DATA --arms whole whole-batchgenerators`, at equal time or, with
`--steps`, at equal steps.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from batchgenerators.transforms.abstract_transforms import Compose
from batchgenerators.transforms.color_transforms import (
    BrightnessMultiplicativeTransform,
    ContrastAugmentationTransform,
    GammaTransform,
)
from batchgenerators.transforms.noise_transforms import GaussianBlurTransform, GaussianNoiseTransform
from batchgenerators.transforms.resample_transforms import SimulateLowResolutionTransform
from batchgenerators.transforms.spatial_transforms import MirrorTransform, SpatialTransform
from rich.table import Table

from autoseg.image.geometry import Shape, Spacing
from autoseg.image.labels import Labels
from autoseg.plan.configuration import Configuration, Network, Prediction, Training
from autoseg.run_folder.preprocessed_case import Foreground, write_case
from autoseg.terminal import open_console
from benchmarks.made_data import record_as_stored
from trainer.data.batches import BatchLoader

BATCH = 2
Augmentation = Literal["autoseg", "batchgenerators"]
SETTINGS: tuple[tuple[str, Shape, Shape, Spacing], ...] = (
    ("hippocampus, 3D", (40, 56, 40), (35, 51, 36), (30.0, 30.0, 30.0)),
    ("abdomen, slices apart", (32, 112, 112), (40, 200, 200), (180.0, 0.0, 0.0)),
    ("abdomen, 3D", (32, 112, 112), (40, 200, 200), (30.0, 30.0, 30.0)),
)
ON_A_GPU: tuple[str, Shape, Shape, Spacing] = ("reference plan, 3D", (128, 128, 128), (160, 200, 200), (30.0,) * 3)


def configuration(patch: Shape, rotation: Spacing, augmentation: Augmentation = "autoseg") -> Configuration:
    training = Training(
        iterations=1,
        iterations_per_epoch=1,
        optimizer="sgd",
        learning_rate=0.01,
        warmup=0,
        weight_decay=0,
        gradient_clip=12,
        average_decay=0,
        oversample_foreground=0.33,
        batch_dice=False,
        deep_supervision=True,
        rotation=rotation,
        scaling=(0.7, 1.4),
        elastic=0,
        mirror=(0, 1, 2),
        augmentation=augmentation,
        validate_every=0,
        seconds=None,
    )
    network = Network(
        architecture="plain",
        features=(16, 32),
        strides=((1, 1, 1), (2, 2, 2)),
        kernel_sizes=((3, 3, 3), (3, 3, 3)),
        encoder_blocks=(2, 2),
        decoder_blocks=(2,),
    )
    return Configuration(
        spacing=(1.0, 1.0, 1.0),
        median_shape=(float(patch[0]), float(patch[1]), float(patch[2])),
        patch_size=patch,
        batch_size=BATCH,
        slice_axis=None,
        network=network,
        training=training,
        prediction=Prediction(overlap=0.5, mirror=()),
    )


def write_cases(root: Path, shape: Shape, cases: int = 3) -> list[Path]:
    for number in range(cases):
        folder = root / f"case{number}"
        folder.mkdir()
        image = np.random.default_rng(number).standard_normal((1, *shape)).astype(np.float32)
        label = np.zeros(shape, np.uint8)
        label[tuple(slice(n // 3, n // 2) for n in shape)] = 1
        voxels = np.argwhere(label).astype(np.int32)
        record = record_as_stored(folder.name, shape, 1)
        ones = np.ones(len(voxels), np.uint8)
        write_case(folder, record, image, label, Foreground(voxels, ones, np.zeros(len(voxels), np.int32)))
    return sorted(root.iterdir())


LABELS = Labels(values=(0, 1), names=("background", "object"))


def seconds_each(step: Callable[[], object], times: int) -> float:
    step()
    begin = time.process_time()
    for _ in range(times):
        step()
    return (time.process_time() - begin) / times


def ours(folders: list[Path], config: Configuration, batches: int, cache_bytes: int) -> float:
    with BatchLoader(
        folders,
        config,
        labels=LABELS,
        seed=0,
        fold=0,
        first_step=0,
        last_step=batches + 1,
        workers=0,
        cache_bytes=cache_bytes,
    ) as loader:
        steps = iter(loader)
        return seconds_each(lambda: next(steps), batches)


def batchgenerators(patch: Shape, rotation: Spacing, batches: int, order: int) -> float:
    flat = rotation.count(0.0) == 2
    axes = (1, 2) if flat else (0, 1, 2)
    turning = dict(
        zip(("angle_x", "angle_y", "angle_z"), ((-np.deg2rad(r), np.deg2rad(r)) for r in rotation), strict=True)
    )
    spatial = SpatialTransform(
        patch[1:] if flat else patch,
        patch_center_dist_from_border=None,
        do_elastic_deform=False,
        **turning,
        scale=(0.7, 1.4),
        p_rot_per_sample=0.2,
        p_scale_per_sample=0.2,
        border_mode_data="constant",
        border_cval_seg=0,
        order_data=order,
        order_seg=0,
        random_crop=False,
    )
    intensity = Compose(
        [
            GaussianNoiseTransform(p_per_sample=0.1),
            GaussianBlurTransform((0.5, 1.0), p_per_sample=0.2, p_per_channel=0.5),
            BrightnessMultiplicativeTransform((0.75, 1.25), p_per_sample=0.15),
            ContrastAugmentationTransform(p_per_sample=0.15),
            SimulateLowResolutionTransform(
                (0.5, 1), True, 0.5, p_per_sample=0.25, order_downsample=0, order_upsample=order,
                ignore_axes=(0,) if flat else None,
            ),
            GammaTransform((0.7, 1.5), True, True, retain_stats=True, p_per_sample=0.1),
            GammaTransform((0.7, 1.5), False, True, retain_stats=True, p_per_sample=0.3),
            MirrorTransform((0, 1, 2)),
        ]
    )  # fmt: skip
    enlarged = tuple(round(n * 1.5) if axis in axes else n for axis, n in enumerate(patch))
    image = np.random.default_rng(0).standard_normal((BATCH, 1, *enlarged)).astype(np.float32)
    label = np.zeros(image.shape, np.int16)

    def step() -> None:
        batch: dict[str, np.ndarray] = {"data": image.copy(), "seg": label.copy()}
        if flat:
            batch = {k: v.reshape(BATCH, -1, *v.shape[3:]) for k, v in batch.items()}
        batch = spatial(**batch)
        if flat:
            batch = {k: v.reshape(BATCH, 1, *patch) for k, v in batch.items()}
        intensity(**batch)

    np.random.seed(0)
    return seconds_each(step, batches)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    choices = get_args(Augmentation)
    parser.add_argument("--augmentation", nargs="+", choices=choices, default=choices, help="whose transforms")
    parser.add_argument("--batches", type=int, default=40)
    given = parser.parse_args()
    torch.set_num_threads(1)
    table = Table("patch", "augmentation", "ms a batch of 2", "patches a second and core")
    for name, patch, shape, rotation in (*SETTINGS, ON_A_GPU):
        rows = {}
        with tempfile.TemporaryDirectory() as root:
            folders = write_cases(Path(root), shape)
            for chosen in given.augmentation:
                config = configuration(patch, rotation, chosen)
                rows[f"{chosen}, cases in memory"] = ours(folders, config, given.batches, 2**30)
                rows[f"{chosen}, from disk"] = ours(folders, config, given.batches, 0)
        if "batchgenerators" in given.augmentation:
            rows["batchgenerators alone, linear"] = batchgenerators(patch, rotation, given.batches, 1)
            rows["batchgenerators alone, third order"] = batchgenerators(patch, rotation, given.batches, 3)
        for label, seconds in rows.items():
            size = "×".join(map(str, patch))
            table.add_row(f"{name} {size}", label, f"{1000 * seconds:.1f}", f"{BATCH / seconds:.1f}")
    open_console().print(table)


if __name__ == "__main__":
    main()
