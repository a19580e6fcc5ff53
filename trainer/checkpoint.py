"""Training state on disk: safetensors and JSON, whole or not at all, two generations kept.

Of the two, the older one ends an epoch, where training is judged: a collapse within an epoch cannot
push out the last good state. A checkpoint is a folder `checkpoint/step_00000250` with
`tensors.safetensors` (weights, averaged weights, optimiser, random state) and `state.json`. Samples
are drawn from (seed, fold, step, place in the batch), so the step is the sampler's whole state.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from autoseg.errors import RunFolderError
from autoseg.files import FileModel, folder_replaced_when_done
from autoseg.plan.configuration import Training
from autoseg.run_folder.finished_fold import Event
from trainer.learner import Learner


class LogRow(FileModel):
    """One line of `log.csv`.

    Args:
        loss: mean over the epoch's steps.
        train_dice: mean foreground Dice over the epoch's patches, pooled.
        val_dice: mean foreground Dice of whole validation cases, where it was measured.
        seconds: time of the whole fold so far.
    """

    epoch: int
    step: int
    learning_rate: float
    loss: float
    train_dice: float
    val_dice: float | None
    seconds: float


class Repeated(FileModel):
    """The training that a fold repeats step by step; no clock decides anything.

    Args:
        iterations: length of its schedule at the beginning.
        iterations_per_epoch: of its epochs.
        events: what changed its schedule and its threads.
    """

    iterations: int
    iterations_per_epoch: int
    events: tuple[Event, ...]


class Requested(FileModel):
    """What the user asked of one fold, instead of the plan's schedule; None = the plan's.

    Args:
        epochs: number of epochs.
        seconds: time that training takes.
        follows: another training, which is repeated.
    """

    epochs: int | None = None
    seconds: float | None = None
    follows: Repeated | None = None


class State(BaseModel):
    """What of the training state is not a tensor.

    Args:
        step: optimiser steps done.
        training: what is followed: the plan's, or what `--epochs` and `--time-budget` made of it.
        requested: those two flags, as given when the fold was begun.
        seconds: time spent on this fold over all restarts.
        threads: torch's threads at the beginning; the same number gives the same bits on a CPU.
        precision: number type that the network computes in, or, where it changed, all in order; None in
            checkpoints of earlier releases.
        loss_sum, counts: of the running epoch: summed loss; true positives, predicted and reference
            voxels by class.
        rows: lines of `log.csv` so far.
        pace_since: number of those rows that tell no more how fast the machine is: it, or the threads, were others.
        pace_from: step and seconds from which the row after them counts.
        limit: seconds that training has, of `seconds`, as it was last told; None = as the schedule says.
        events: what changed the schedule.
        loss_scale: state of the gradient scaler of mixed precision in float16; empty elsewhere.
        plan_sha256: of what the plan decides for this fold, and of its cases.
        sha256: of `tensors.safetensors`.
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
    rows: list[LogRow] = []
    pace_since: int = 0
    pace_from: tuple[int, float] = (0, 0.0)
    limit: float | None = None
    events: tuple[Event, ...] = ()
    loss_scale: dict[str, float | int] = {}
    sha256: str = ""


def forget_pace(state: State) -> None:
    """From now on alone epochs tell how fast the machine is."""
    state.pace_since, state.pace_from = len(state.rows), (state.step, state.seconds)


def save(folder: Path, state: State, learner: Learner) -> None:
    """Write a checkpoint atomically, then drop all others but the last one before it that ends an epoch."""
    tensors = {f"weights.{k}": v for k, v in learner.module.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in learner.average.items()}
    for index, values in learner.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{k}": torch.as_tensor(v) for k, v in values.items() if v is not None}
    tensors["random_state"] = torch.get_rng_state()
    tensors = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    state.loss_scale = learner.scaler.state_dict()
    written = _of_step(folder, state.step)
    with folder_replaced_when_done(written) as temporary:
        save_file(tensors, temporary / "tensors.safetensors")
        state.sha256 = _sha256(temporary / "tensors.safetensors")
        (temporary / "state.json").write_text(state.model_dump_json(indent=1), encoding="utf-8")
    judged = judged_generations(folder, state.training.iterations_per_epoch)
    kept = next((generation for generation in judged if generation.name < written.name), None)
    # later ones too: they are damaged, or of training that was set back
    for other in generations(folder):
        if other not in (written, kept):
            shutil.rmtree(other, ignore_errors=True)


def is_saved(folder: Path, step: int) -> bool:
    """Whether there is a checkpoint of a step."""
    return _of_step(folder, step).exists()


def generations(folder: Path) -> list[Path]:
    """Checkpoints on disk, newest first."""
    return sorted(folder.glob("step_*"), reverse=True)


def judged_generations(folder: Path, iterations_per_epoch: int) -> list[Path]:
    """Those of the checkpoints that were written at the end of an epoch (or before the first), newest first."""
    return [g for g in generations(folder) if int(g.name.removeprefix("step_")) % iterations_per_epoch == 0]


def load(folder: Path, *, judged_every: int = 1) -> tuple[State, dict[str, torch.Tensor]] | None:
    """The newest checkpoint that is whole; None where there is none at all.

    Args:
        folder: of the checkpoints.
        judged_every: steps of an epoch: only checkpoints at the end of one are considered.

    Raises:
        RunFolderError: there are checkpoints, and every one is damaged.
    """
    found = judged_generations(folder, judged_every)
    for generation in found:
        try:
            state = State.model_validate_json((generation / "state.json").read_text(encoding="utf-8"))
            if _sha256(generation / "tensors.safetensors") == state.sha256:
                return state, load_file(generation / "tensors.safetensors")
        except (OSError, ValidationError, SafetensorError):
            continue
    if found:
        raise RunFolderError(f"{folder}: every checkpoint is damaged; delete this folder to train from the start")
    return None


def restore(state: State, tensors: dict[str, torch.Tensor], learner: Learner) -> None:
    """Put what a checkpoint holds of the learner back where `save` took it from."""
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
                # files hold no layout, and steps are slower where it is not that of the weights
                of_parameter[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
    groups = learner.optimizer.state_dict()["param_groups"]
    learner.optimizer.load_state_dict({"state": states, "param_groups": groups})
    # empty where the checkpoint was written without a scale: the present one is kept
    if state.loss_scale:
        learner.scaler.load_state_dict(state.loss_scale)
    torch.set_rng_state(tensors["random_state"])


def _below(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _of_step(folder: Path, step: int) -> Path:
    return folder / f"step_{step:08d}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
