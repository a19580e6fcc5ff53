"""`finished.json`: how the training of a fold went, and on which cases; written by the trainer, read by all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from autoseg.errors import RunFolderError
from autoseg.files import FileModel, read_model, write_text
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import Split


class Event(FileModel):
    """Something that changed the schedule of a fold; stored in its checkpoint and in `finished.json`.

    Args:
        kind: `shortened`, `lengthened`: fewer or more iterations, to end when the time ends; `threads`: computes
            with another number of threads; `restored`: training collapsed, went back to an earlier state
            and goes on with a smaller rate.
        step: first step to which it applies.
        iterations: the schedule's length from then on.
        rate_factor: factor on the learning rate from then on.
        threads: torch's threads from then on; None = as before.
        reason: sentence for the user.
    """

    kind: Literal["shortened", "lengthened", "threads", "restored"]
    step: int
    iterations: int
    rate_factor: float
    threads: int | None = None
    reason: str


class Finished(FileModel):
    """Summary of a fold that ended as planned.

    Args:
        steps: optimiser steps.
        iterations: length of the schedule at the beginning; None in files of earlier releases.
        iterations_per_epoch: steps of each of its epochs; None in files of earlier releases.
        seconds_training: time of the training, over restarts.
        seconds_validation: time of the whole-case predictions at the end.
        threads: torch's threads at the beginning; events tell what changed them.
        precision: number type that the network computed in, or, where it changed, all in order; None in files
            of earlier releases.
        events: what changed the schedule on the way.
        train: names of the cases it was trained on; None in a copy without names.
        dice: by validation case, the Dice of each foreground class at original resolution; None where
            neither reference nor prediction has it.
        classes: names of the foreground classes.
    """

    schema_version: Literal[1] = 1
    fold: int
    steps: int
    iterations: int | None = None
    iterations_per_epoch: int | None = None
    seconds_training: float
    seconds_validation: float
    device: str
    threads: int
    torch_version: str
    precision: str | None = None
    events: tuple[Event, ...]
    train: tuple[str, ...] | None = None
    dice: dict[str, list[float | None]]
    classes: tuple[str, ...]

    def without_names(self) -> Finished:
        """The same without names of cases, for a copy that goes to others."""
        return self.changed(train=None, dice={})


def write_finished(run: RunFolder, configuration: str, fold: int, finished: Finished) -> None:
    """Write `finished.json` of a fold, atomically."""
    write_text(run.finished(configuration, fold), finished.model_dump_json(indent=1))


def read_finished(run: RunFolder, configuration: str, fold: int) -> Finished | None:
    """How a fold's training went; None where it has not finished.

    Raises:
        RunFolderError: the file is malformed; names file and field.
    """
    advice = f"delete {run.fold(configuration, fold)} to train the fold anew"
    return read_model(run.finished(configuration, fold), Finished, advice)


def refuse_other_splits(run: RunFolder, configuration: str, splits: Sequence[Split]) -> None:
    """Refuse to judge a fold on cases that it may have learned from.

    Args:
        run: the RUN folder.
        configuration: whose finished folds are looked at.
        splits: as `splits.json` now has them.

    Raises:
        RunFolderError: a finished fold was trained on other cases than its split now names.
    """
    for fold, split in enumerate(splits):
        finished = read_finished(run, configuration, fold)
        if finished is None or finished.train is None or set(finished.train) == set(split.train):
            continue
        differing = sorted(set(finished.train) ^ set(split.train))
        learned_from = sorted(set(finished.train) & set(split.val))
        leak = f"; it has learned from {', '.join(learned_from)}, which it would be judged on" if learned_from else ""
        raise RunFolderError(
            f"{run.fold(configuration, fold)}: fold {fold} of {configuration} was trained with another split than "
            f"{run.splits} now holds (differing: {', '.join(differing)}){leak}; put the former splits.json back, or "
            "delete this folder to train the fold anew"
        )
