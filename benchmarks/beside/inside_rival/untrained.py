"""Writes five folds of nnU-Net with initial weights, as if they were trained; they predict as fast as trained ones.

python untrained.py PLANS DATASET_JSON ANSWER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

FOLDS = 5


def main() -> None:
    plans, dataset, answer = sys.argv[1:]
    for fold in range(FOLDS):
        trainer = nnUNetTrainer(
            json.loads(Path(plans).read_text()) | {"continue_training": False},
            "3d_fullres",
            fold,
            json.loads(Path(dataset).read_text()),
            torch.device("cpu"),
        )
        trainer.initialize()
        trainer.inference_allowed_mirroring_axes = (0, 1, 2)
        trainer.save_checkpoint(str(Path(trainer.output_folder) / "checkpoint_final.pth"))
    # training copies these files into the model's folder, and prediction reads them there
    for name, source in (("plans.json", plans), ("dataset.json", dataset)):
        (Path(trainer.output_folder_base) / name).write_bytes(Path(source).read_bytes())
    Path(answer).write_text(json.dumps(trainer.output_folder_base))


if __name__ == "__main__":
    main()
