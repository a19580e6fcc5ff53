"""A fold that is stopped on the way, and whether two ended with the same weights."""

import torch
from safetensors.torch import load_file

from autoseg.run_folder.paths import RunFolder
from trainer.learner import Learner


def weights(run: RunFolder) -> dict[str, torch.Tensor]:
    return load_file(run.weights("3d", 0))


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def stop_after(monkeypatch, steps: int) -> None:
    """End training as abruptly as an exception can after so many steps."""
    real = Learner.step

    def step(self, batch, rate, done):
        if done == steps:
            raise KeyboardInterrupt
        return real(self, batch, rate, done)

    monkeypatch.setattr(Learner, "step", step)
