"""`finished.json`: how the training of a fold went."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from trainer.schedule import Event


class Finished(BaseModel):
    """Summary of a fold that ended as planned.

    Args:
        steps: optimiser steps.
        seconds_training: time of the training, over restarts.
        seconds_validation: time of the whole-case predictions at the end.
        events: what changed the schedule on the way.
        dice: by validation case, the Dice of each foreground class at original resolution; None where
            neither reference nor prediction has it.
        classes: names of the foreground classes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    fold: int
    steps: int
    seconds_training: float
    seconds_validation: float
    device: str
    threads: int
    torch_version: str
    events: tuple[Event, ...]
    dice: dict[str, list[float | None]]
    classes: tuple[str, ...]
