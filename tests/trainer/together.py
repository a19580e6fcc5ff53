"""Trains fold 0 of a tiny run, as one of several processes where torch's launcher starts it; alone, of several runs.

python -m torch.distributed.run --nproc-per-node 2 -m tests.trainer.together EPOCHS RUN
"""

import sys
from pathlib import Path

import torch

from autoseg.run_folder.paths import RunFolder
from trainer.fold import train_fold

if __name__ == "__main__":
    torch.set_num_threads(1)
    for run in sys.argv[2:]:
        train_fold(RunFolder(Path(run)), "3d", 0, device="cpu", workers=0, threads=1, epochs=int(sys.argv[1]))
