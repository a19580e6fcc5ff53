"""Measures processor seconds per batch of nnU-Net's own list of transforms (batchgeneratorsv2), with one thread.

    python augmentation.py SETTINGS ANSWER

SETTINGS is a JSON list of objects: patch in voxels and rotation in degrees, both (z, y, x), batch, batches. ANSWER is
the JSON file for the result, a list of seconds. Patches are in memory, and already as large as nnU-Net's loader draws
them for rotation, so that only transforms are timed.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from nnunetv2.training.data_augmentation.compute_initial_patch_size import get_patch_size
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


def seconds_a_batch(patch: list[int], flat: bool, batch: int, batches: int) -> float:
    degrees = 180 if flat else 30
    rotation = (-np.deg2rad(degrees), np.deg2rad(degrees))
    transforms = nnUNetTrainer.get_training_transforms(patch, rotation, None, (0, 1, 2), flat)
    enlarged = [int(n) for n in get_patch_size(patch, rotation, rotation, rotation, (0.85, 1.25))]
    if flat:
        enlarged[0] = patch[0]
    image = torch.randn(1, *enlarged, generator=torch.Generator().manual_seed(0))
    label = torch.zeros(1, *enlarged, dtype=torch.int16)
    seconds = []
    for _ in range(batches + 1):
        start = time.process_time()
        for _ in range(batch):
            transforms(image=image.clone(), segmentation=label.clone())
        seconds.append(time.process_time() - start)
    return sum(seconds[1:]) / batches


def main() -> None:
    settings, answer = sys.argv[1:]
    torch.set_num_threads(1)
    np.random.seed(0)
    torch.manual_seed(0)
    told = [
        seconds_a_batch(one["patch"], one["rotation"].count(0.0) == 2, one["batch"], one["batches"])
        for one in json.loads(Path(settings).read_text())
    ]
    Path(answer).write_text(json.dumps(told))


if __name__ == "__main__":
    main()
