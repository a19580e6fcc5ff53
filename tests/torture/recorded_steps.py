"""Records the steps of a training from inside: what the network saw, the learning rate and the loss."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trainer.data.batch import Batch
from trainer.learner import Learner


def record_steps(file: Path) -> None:
    """From now on in this process, append a line of JSON to a file at each optimiser step."""
    real = Learner.step

    def step(self: Learner, batch: Batch, rate: float, done: int) -> Any:
        loss, counts = real(self, batch, rate, done)
        with file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"shape": list(batch.image.shape), "rate": rate, "loss": loss.item()}) + "\n")
        return loss, counts

    Learner.step = step  # type: ignore[method-assign]
