"""Save the training state of a fold to checkpoints, and restore it.

A checkpoint is a folder such as `checkpoint/step_00000250` that holds `tensors.safetensors` (weights, averaged
weights, optimiser, random state) and `state.json`. It appears whole or not at all. Two checkpoints are kept. The older
one was written at the end of an epoch, where training is checked for a collapse, so that a collapse within an epoch
cannot replace the last good state. Patches are drawn from (seed, fold, step, place in the batch), so the sampler needs
no state but the step.
"""

from __future__ import annotations

import re
from collections.abc import Collection
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

SECONDS_BETWEEN_CHECKPOINTS = 180.0
"""Within a long epoch a checkpoint is written after so many seconds; and at the end of each epoch."""


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
    """

    iterations: int
    iterations_per_epoch: int
    events: tuple[Event, ...]


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


def save(folder: Path, state: State, learner: Learner) -> None:
    """Write a checkpoint atomically, then delete all others except the last earlier one at the end of an epoch.

    Args:
        folder: folder of the fold's checkpoints.
        state: the part of the training state that is not a tensor; its hash and loss scale are set here.
        learner: network and optimiser, whose tensors are saved.
    """
    tensors = {f"weights.{k}": v for k, v in learner.module.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in learner.average.items()}
    for index, values in learner.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{k}": torch.as_tensor(v) for k, v in values.items() if v is not None}
    tensors["random_state"] = torch.get_rng_state()
    tensors = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    state.loss_scale = learner.scaler.state_dict()
    written = _of_step(folder, state.step)
    with folder_replaced_when_done(written) as temporary:
        with disk_errors_named(temporary, SafetensorError):
            save_file(tensors, temporary / "tensors.safetensors")
        state.sha256 = digest_of(temporary / "tensors.safetensors")
        (temporary / "state.json").write_text(state.sealed_json(), encoding="utf-8")
    validated = validated_generations(folder, state.training.iterations_per_epoch)
    kept = next((generation for generation in validated if generation.name < written.name), None)
    # checkpoints of later steps are deleted too: they are damaged, or from before training was set back
    for other in generations(folder):
        if other not in (written, kept):
            discard(other)


def is_saved(folder: Path, step: int) -> bool:
    """Whether there is a checkpoint of a step."""
    return _of_step(folder, step).exists()


def generations(folder: Path) -> list[Path]:
    """Folders of the checkpoints on disk, newest first; what has another name than a checkpoint does not count."""
    return sorted((path for path in folder.glob("step_*") if _STEP.fullmatch(path.name)), reverse=True)


def validated_generations(folder: Path, iterations_per_epoch: int) -> list[Path]:
    """Folders of the checkpoints written at the end of an epoch, or before the first epoch, newest first."""
    return [g for g in generations(folder) if int(g.name.removeprefix("step_")) % iterations_per_epoch == 0]


def load(
    folder: Path, *, validated_every: int = 1, other_than: Collection[int] = ()
) -> tuple[State, dict[str, torch.Tensor]] | None:
    """Load the newest checkpoint that is not damaged: its state and its tensors by name; None where there is none.

    Args:
        folder: folder of the fold's checkpoints.
        validated_every: only checkpoints at a multiple of this number of steps count; with the steps of an epoch these
            are the checkpoints at the end of an epoch.
        other_than: steps of checkpoints that are only taken where there is no other one.

    Raises:
        RunFolderError: there are checkpoints, and all of them are damaged.
    """
    avoided = {_of_step(folder, step) for step in other_than}
    found = sorted(validated_generations(folder, validated_every), key=lambda generation: generation in avoided)
    for generation in found:
        try:
            state = State.model_validate_json(read_json_bytes(generation / "state.json"))
            if digest_of(generation / "tensors.safetensors") == state.sha256:
                return state, load_file(generation / "tensors.safetensors")
        except (OSError, TextRefused, ValidationError, SafetensorError):
            continue
    if found:
        raise RunFolderError(f"{folder}: every checkpoint is damaged; delete this folder to train from the start")
    return None


def restore(state: State, tensors: dict[str, torch.Tensor], learner: Learner) -> None:
    """Restore the learner's weights, average, optimiser and loss scale, and torch's random state.

    Args:
        state: state of a checkpoint, from `load`.
        tensors: tensors of the same checkpoint, by name.
        learner: network and optimiser that are restored in place.
    """
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
    # a checkpoint written without mixed precision in float16 has no loss scale; the present one is kept
    if any(event.kind == "restored" for event in state.events):
        learner.forget_quickly()
    if state.loss_scale:
        learner.scaler.load_state_dict(state.loss_scale)
    torch.set_rng_state(tensors["random_state"])


def _below(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _of_step(folder: Path, step: int) -> Path:
    return folder / f"step_{step:08d}"
