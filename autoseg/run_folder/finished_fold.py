"""`finished.json`, the summary of a finished fold: its training cases, schedule, times and validation Dice.

The trainer writes it; reports, selection, copies and checks read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from autoseg.disk.checksums import SealedModel
from autoseg.errors import RunFolderError
from autoseg.files import FileModel, read_model, write_text
from autoseg.names import PlainName
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import Split


class Event(FileModel):
    """A change of a fold's schedule or threads; stored in the fold's checkpoint and in `finished.json`.

    Args:
        kind: `shortened` or `lengthened`: the schedule has fewer or more steps from here on, to end within the
            time limit; `threads`: torch computes with another number of threads; `restored`: training collapsed,
            went back to an earlier checkpoint and continues with a smaller learning rate.
        step: first optimiser step to which the event applies.
        iterations: total length of the schedule from then on, in optimiser steps.
        rate_factor: factor on the learning rate from then on.
        threads: number of torch's threads from then on; None = the number does not change.
        reason: sentence that tells the user why.
    """

    kind: Literal["shortened", "lengthened", "threads", "restored"]
    step: int
    iterations: int
    rate_factor: float
    threads: int | None = None
    reason: str


class Finished(SealedModel, FileModel):
    """Summary of a fold whose training reached the end of its schedule.

    Args:
        fold: number of the fold, from 0.
        steps: number of optimiser steps that were done.
        iterations: length of the schedule at the beginning, in steps; None in files of earlier releases.
        iterations_per_epoch: number of steps in an epoch; None in files of earlier releases.
        seconds_training: seconds of training, summed over restarts.
        seconds_validation: seconds of the whole-case predictions at the end.
        device: device that trained the fold, such as `cpu` or `cuda:0`.
        threads: number of torch's threads at the beginning; `events` tell how it changed.
        torch_version: version of torch that computed.
        precision: dtype that the network computed in, or, where it changed, all dtypes in order; None in files
            of earlier releases.
        compiled: whether the network was computed in compiled form (`torch.compile`) at the end.
        augment_on: who augmented the images of the patches: the processes that prepared them, or the device.
        events: changes of the schedule and of the threads, in order.
        train: names of the training cases; None in a copy without names.
        dice: for each validation case, the Dice of each foreground class at original resolution; None where
            neither the reference nor the prediction has the class.
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
    compiled: bool = False
    augment_on: Literal["workers", "device"] = "workers"
    events: tuple[Event, ...]
    train: tuple[PlainName, ...] | None = None
    dice: dict[PlainName, list[float | None]]
    classes: tuple[str, ...]

    def without_names(self) -> Finished:
        """Return a copy without names of cases and their Dice, to be given to others."""
        return self.changed(train=None, dice={})


def write_finished(run: RunFolder, configuration: str, fold: int, finished: Finished) -> None:
    """Write `finished.json` of a fold, atomically."""
    write_text(run.finished(configuration, fold), finished.sealed_json())


def read_finished(run: RunFolder, configuration: str, fold: int) -> Finished | None:
    """Read `finished.json` of a fold; None where the fold has not finished.

    Raises:
        RunFolderError: the file is malformed; the message names the file and the field.
    """
    advice = f"delete {run.fold(configuration, fold)} to train the fold anew"
    return read_model(run.finished(configuration, fold), Finished, advice)


def read_finished_folds(run: RunFolder, configuration: str, folds: Iterable[int]) -> dict[int, Finished]:
    """Read `finished.json` of those of the given folds that have finished, by the fold's number.

    Raises:
        RunFolderError: a file is malformed; the message names the file and the field.
    """
    read = {fold: read_finished(run, configuration, fold) for fold in folds}
    return {fold: finished for fold, finished in read.items() if finished is not None}


def refuse_other_splits(
    run: RunFolder, configuration: str, splits: Sequence[Split], finished_folds: Mapping[int, Finished]
) -> None:
    """Raise an error where a finished fold would be validated on cases that it may have been trained on.

    Args:
        run: RUN folder that holds the finished folds.
        configuration: name of the configuration whose finished folds are checked.
        splits: training and validation cases of each fold that takes part, as `splits.json` now has them.
        finished_folds: summary of each finished fold, by the fold's number.

    Raises:
        RunFolderError: a finished fold was trained on other cases than its split now names.
    """
    for fold, finished in finished_folds.items():
        split = splits[fold]
        if finished.train is None or set(finished.train) == set(split.train):
            continue
        differing = sorted(set(finished.train) ^ set(split.train))
        learned_from = sorted(set(finished.train) & set(split.val))
        leak = f"; it has learned from {', '.join(learned_from)}, which it would be judged on" if learned_from else ""
        raise RunFolderError(
            f"{run.fold(configuration, fold)}: fold {fold} of {configuration} was trained with another split than "
            f"{run.splits} now holds (differing: {', '.join(differing)}){leak}; put the former splits.json back, or "
            "delete this folder to train the fold anew"
        )
