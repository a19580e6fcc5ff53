"""Training on a clock that is turned by hand: a step takes what the test says, and nothing else takes any time."""

from collections.abc import Callable

import torch

from autoseg.machine import clock
from autoseg.run_folder.finished_fold import Finished, read_finished
from autoseg.run_folder.paths import RunFolder
from trainer.fold import train_fold
from trainer.learner import Learner

PLANNED = {"iterations": 60, "iterations_per_epoch": 3, "seconds": 60.0, "validate_every": 0}
"""A second a step."""


class Hands:
    """The clock, and what a step takes at each second of it; only where `learns` does it learn anything."""

    def __init__(self, monkeypatch) -> None:
        self.now, self.learns = 1000.0, False
        self.seconds_a_step: Callable[[float], float] = lambda now: 1.0
        monkeypatch.setattr(clock, "now", lambda: self.now)
        real = Learner.step

        def step(learner, *arguments):
            self.now += self.seconds_a_step(self.now - 1000.0)
            return real(learner, *arguments) if self.learns else (torch.tensor(0.5), torch.ones((3, 1)))

        monkeypatch.setattr(Learner, "step", step)


def train(run: RunFolder, **options: object) -> Finished:
    """Train the fold to its end, and return its summary."""
    train_fold(run, "3d", 0, device="cpu", workers=0, **options)
    summary = read_finished(run, "3d", 0)
    assert summary is not None
    return summary
