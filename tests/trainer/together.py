"""Trains fold 0 of a tiny run, as one of several processes where torch's launcher starts it; alone, of several runs.

python -m torch.distributed.run --nproc-per-node 2 -m tests.trainer.together EPOCHS RUN
"""

import atexit
import sys
from pathlib import Path

import torch

from autoseg.run_folder.paths import RunFolder
from trainer.fold import train_fold

LEFT = "threads of gloo are left"


def tell_threads() -> None:
    """Say on standard error if threads of torch's library for processes are left where Python begins to end."""
    threads = Path("/proc/self/task").glob("*/comm")
    if any("gloo" in thread.read_text() for thread in threads):
        print(LEFT, file=sys.stderr)


if __name__ == "__main__":
    # what is registered first is called last
    atexit.register(tell_threads)
    torch.set_num_threads(1)
    for run in sys.argv[2:]:
        train_fold(RunFolder(Path(run)), "3d", 0, device="cpu", workers=0, threads=1, epochs=int(sys.argv[1]))
