"""Measures seconds of nnU-Net's own training step, on random patches of its plan's size.

python training_step.py PLANS DATASET_JSON STEPS ANSWER
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


def main() -> None:
    plans, dataset, steps, answer = sys.argv[1:]
    declared = json.loads(Path(dataset).read_text())
    trainer = nnUNetTrainer(
        json.loads(Path(plans).read_text()) | {"continue_training": False},
        "3d_fullres",
        0,
        declared,
        torch.device("cpu"),
    )
    trainer.initialize()
    torch.manual_seed(0)
    patch = trainer.configuration_manager.patch_size
    batch: dict[str, Any] = {"data": torch.randn(trainer.batch_size, trainer.num_input_channels, *patch)}
    sizes = [
        [round(n * f) for n, f in zip(patch, scale, strict=True)] for scale in trainer._get_deep_supervision_scales()
    ]
    classes = len(declared["labels"])
    batch["target"] = [torch.randint(0, classes, (trainer.batch_size, 1, *size), dtype=torch.int16) for size in sizes]
    seconds = []
    for _ in range(int(steps) + 1):
        start = time.perf_counter()
        trainer.train_step(batch)
        seconds.append(time.perf_counter() - start)
    told = {
        "seconds": seconds[1:],
        "patch": [int(n) for n in patch],
        "batch": trainer.batch_size,
    }
    Path(answer).write_text(json.dumps(told))


if __name__ == "__main__":
    main()
