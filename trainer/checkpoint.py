"""Save the training state of a fold to checkpoints, and restore it.

A checkpoint is a folder such as `checkpoint/step_00000250` that holds `tensors.safetensors` (weights, averaged
weights, optimiser, random state) and `state.json`. It appears whole or not at all. Beside the newest one, the last of
those at the end of an epoch are kept, where training is checked for a collapse, so that a collapse cannot replace the
last good state. Patches are drawn from (seed, fold, step, place in the batch), so the sampler needs
no state but the step.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from pydantic import ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from autoseg.disk.checksums import SealedModel, digest_of
from autoseg.disk.text_files import TextRefused, read_json_bytes
from autoseg.errors import RunFolderError
from autoseg.files import FileModel, discard, disk_errors_named, folder_replaced_when_done
from autoseg.plan.configuration import Training
from autoseg.run_folder.finished_fold import Event
from trainer.learner import Learner

_STEP = re.compile(r"step_[0-9]{8,18}")


class LogRow(FileModel):
    """One line of `log.csv`: the summary of an epoch.

    Args:
        epoch: number of the epoch, from 1.
        step: number of optimiser steps done at its end.
        learning_rate: learning rate of its last step.
        loss: mean loss over the epoch's steps.
        train_dice: mean Dice over the foreground classes; voxels are pooled over the epoch's patches.
        val_dice: mean foreground Dice of whole validation cases; None where it was not measured.
        seconds: seconds of training of this fold so far, over all restarts.
    """

    epoch: int
    step: int
    learning_rate: float
    loss: float
    train_dice: float
    val_dice: float | None
    seconds: float


class Repeated(FileModel):
    """The training that a fold repeats step by step; the clock then decides nothing.

    Args:
        iterations: length of its schedule in steps at the beginning.
        iterations_per_epoch: number of steps of each of its epochs.
        events: the events that changed its schedule and its number of threads.
        augment_on: who augmented the images of its patches: the processes that prepared them, or the device.
    """

    iterations: int
    iterations_per_epoch: int
    events: tuple[Event, ...]
    augment_on: Literal["workers", "device"] = "workers"


class Requested(FileModel):
    """What the user asked for instead of the plan's schedule, for one fold.

    Args:
        epochs: number of epochs; None = the plan's length.
        seconds: time limit of training in seconds; None = the plan's.
        follows: another training that is repeated; None = none.
    """

    epochs: int | None = None
    seconds: float | None = None
    follows: Repeated | None = None


class State(SealedModel):
    """The part of the training state that is not a tensor; stored as `state.json`.

    Args:
        step: number of optimiser steps done.
        training: training settings that the fold was begun with: the plan's, or the plan's with the requested length.
        requested: what the user asked for instead of the plan's schedule when the fold was begun.
        seconds: seconds spent on the training of this fold, over all restarts.
        threads: torch's number of threads at the beginning; the same number gives the same bits on a CPU.
        torch_version: version of torch that the fold was begun with.
        precision: dtype that the network computes in, or all dtypes in order where it changed; None in checkpoints of
            earlier releases.
        compiled: whether the network is computed in compiled form; None = it is not decided.
        augment_on: who augments the images of the patches: the processes that prepare them, or the device that trains;
            None = it is not decided.
        loss_sum: sum of the losses of the current epoch.
        counts: true positives, predicted and reference voxels of each class in the current epoch; None at its start.
        rows: lines of `log.csv` so far.
        pace_since: number of first rows that no longer count for the pace, because the machine or the number of
            threads has changed since.
        pace_from: step and seconds at which the first row that counts for the pace begins.
        limit: value of `seconds` at which training ends, as it was last set; None = the schedule's own time limit.
        events: the events that changed the schedule.
        loss_scale: state of the gradient scaler for mixed precision in float16; empty elsewhere.
        plan_sha256: hash of what the plan decides for this fold, and of its cases.
        sha256: SHA-256 hash of the file `tensors.safetensors` in the same checkpoint.
    """

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    schema_version: Literal[1] = 1
    step: int
    training: Training
    requested: Requested
    seconds: float
    threads: int
    torch_version: str
    precision: str | None = None
    plan_sha256: str
    compiled: bool | None = None
    augment_on: Literal["workers", "device"] | None = None
    loss_sum: float = 0.0
    counts: list[list[float]] | None = None
    rows: list[LogRow] = Field(default_factory=list)
    pace_since: int = 0
    pace_from: tuple[int, float] = (0, 0.0)
    limit: float | None = None
    events: tuple[Event, ...] = ()
    loss_scale: dict[str, float | int] = Field(default_factory=dict)
    sha256: str = ""


def forget_pace(state: State) -> None:
    """Let only the steps from now on count for the pace of the machine."""
    state.pace_since, state.pace_from = len(state.rows), (state.step, state.seconds)


@dataclass(frozen=True)
class Snapshot:
    """The whole state of a training at one step, in the CPU's memory.

    Args:
        state: the part that is not a tensor.
        tensors: weights, averaged weights, optimiser and random state, by name.
    """

    state: State
    tensors: dict[str, torch.Tensor]


def take(state: State, learner: Learner) -> Snapshot:
    """Copy the present state of a training.

    Args:
        state: the part that is not a tensor; its loss scale is set here.
        learner: network and optimiser, whose tensors are copied.
    """
    tensors = {f"weights.{k}": v for k, v in learner.module.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in learner.average.items()}
    for index, values in learner.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{k}": torch.as_tensor(v) for k, v in values.items() if v is not None}
    tensors["random_state"] = torch.get_rng_state()
    state.loss_scale = learner.scaler.state_dict()
    copies = {k: v.detach().to("cpu", copy=True).contiguous() for k, v in tensors.items()}
    return Snapshot(state.model_copy(), copies)


def write(folder: Path, snapshot: Snapshot, earlier: Sequence[Snapshot] = ()) -> None:
    """Write a checkpoint atomically, then delete all others but those that training can be set back to.

    Kept are the newest earlier checkpoint at the end of an epoch, and two of them where the written one is within an
    epoch.

    Args:
        folder: folder of the fold's checkpoints.
        snapshot: state that is written.
        earlier: states at the end of earlier epochs, the newest last; those to be kept are written where they are not.
    """
    per_epoch = snapshot.state.training.iterations_per_epoch
    count = 1 if snapshot.state.step % per_epoch == 0 else 2
    for other in [one for one in earlier if one.state.step < snapshot.state.step][-count:]:
        if not is_saved(folder, other.state.step):
            _write_one(folder, other)
    written = _write_one(folder, snapshot)
    before = [found for found in validated_generations(folder, per_epoch) if found.name < written.name]
    # checkpoints of later steps are deleted too: they are damaged, or from before training was set back
    for found in generations(folder):
        if found not in (written, *before[:count]):
            discard(found)


def _write_one(folder: Path, snapshot: Snapshot) -> Path:
    written, state = _of_step(folder, snapshot.state.step), snapshot.state
    with folder_replaced_when_done(written) as temporary:
        with disk_errors_named(temporary, SafetensorError):
            save_file(snapshot.tensors, temporary / "tensors.safetensors")
        state.sha256 = digest_of(temporary / "tensors.safetensors")
        (temporary / "state.json").write_text(state.sealed_json(), encoding="utf-8")
    return written


def is_saved(folder: Path, step: int) -> bool:
    """Whether there is a checkpoint of a step."""
    return _of_step(folder, step).exists()


def generations(folder: Path) -> list[Path]:
    """Folders of the checkpoints on disk, newest first; what has another name than a checkpoint does not count."""
    return sorted((path for path in folder.glob("step_*") if _STEP.fullmatch(path.name)), reverse=True)


def validated_generations(folder: Path, iterations_per_epoch: int) -> list[Path]:
    """Folders of the checkpoints written at the end of an epoch, or before the first epoch, newest first."""
    return [g for g in generations(folder) if int(g.name.removeprefix("step_")) % iterations_per_epoch == 0]


def load(folder: Path) -> Snapshot | None:
    """Load the newest checkpoint that is not damaged; None where there is none.

    Args:
        folder: folder of the fold's checkpoints.

    Raises:
        RunFolderError: there are checkpoints, and all of them are damaged.
    """
    found = generations(folder)
    for generation in found:
        if (snapshot := _read(generation)) is not None:
            return snapshot
    if found:
        raise RunFolderError(f"{folder}: every checkpoint is damaged; delete this folder to train from the start")
    return None


def load_validated(folder: Path, iterations_per_epoch: int) -> list[Snapshot]:
    """Load the checkpoints written at the end of an epoch that are not damaged, the newest last."""
    found = [_read(generation) for generation in reversed(validated_generations(folder, iterations_per_epoch))]
    return [snapshot for snapshot in found if snapshot is not None]


def _read(generation: Path) -> Snapshot | None:
    """A checkpoint; None where it is damaged."""
    try:
        state = State.model_validate_json(read_json_bytes(generation / "state.json"))
        if digest_of(generation / "tensors.safetensors") == state.sha256:
            return Snapshot(state, load_file(generation / "tensors.safetensors"))
    except (OSError, TextRefused, ValidationError, SafetensorError):
        return None
    return None


def restore(snapshot: Snapshot, learner: Learner) -> None:
    """Restore the learner's weights, average, optimiser and loss scale, and torch's random state.

    Args:
        snapshot: state to go on from.
        learner: network and optimiser that are restored in place.
    """
    state, tensors = snapshot.state, snapshot.tensors
    learner.module.load_state_dict(_below(tensors, "weights."))
    for name, value in _below(tensors, "average.").items():
        learner.average[name].copy_(value)
    states: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in _below(tensors, "optimizer.").items():
        index, _, name = key.partition(".")
        states.setdefault(int(index), {})[name] = value
    for number, parameter in enumerate(learner.module.parameters()):
        of_parameter = states.get(number, {})
        for name, value in of_parameter.items():
            if value.shape == parameter.shape:
                # files do not store the memory layout, and steps are slower if it differs from that of the weights
                of_parameter[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
    groups = learner.optimizer.state_dict()["param_groups"]
    learner.optimizer.load_state_dict({"state": states, "param_groups": groups})
    if any(event.kind == "restored" for event in state.events):
        learner.forget_quickly()
    # a checkpoint written without mixed precision in float16 has no loss scale; the present one is kept
    if state.loss_scale:
        learner.scaler.load_state_dict(state.loss_scale)
    torch.set_rng_state(tensors["random_state"])


def _below(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _of_step(folder: Path, step: int) -> Path:
    return folder / f"step_{step:08d}"
