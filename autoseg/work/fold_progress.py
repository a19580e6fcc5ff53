"""How far folds in training are, from what each training writes anyway: its last checkpoint, and its log.

Of both only a bounded part is read, since a RUN folder may be a stranger's, and be looked at every other second.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from autoseg.disk.text_files import first_bytes, last_bytes
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.predictions_folder import WorkFolder
from autoseg.terminal import FoldProgress
from autoseg.work.unit import Unit
from autoseg.work.units import Scope, scope_of, trained_in

MOST_STATE_BYTES = 2**20
"""The state of a checkpoint has some 200 bytes an epoch; of a larger one nothing is told."""

MOST_CHECKPOINTS = 3
"""So many are kept of a fold."""

MOST_LINE_BYTES = 4096
"""A line of a log has some 100 bytes."""

MOST_STEPS = 10**12

_CHECKPOINT = re.compile("step_[0-9]{8,18}")


class _Length(BaseModel):
    """A schedule, or an event that changed it; its other fields are not read."""

    iterations: int = Field(ge=1, le=MOST_STEPS)


class _State(BaseModel):
    """The state of a checkpoint, as far as it is read."""

    step: int = Field(ge=0, le=MOST_STEPS)
    training: _Length
    events: tuple[_Length, ...] = ()


def progress_of_running(run: WorkFolder, units: Iterable[Unit]) -> dict[str, FoldProgress]:
    """Return how far trainings are, keyed by the names of their units; one that has told nothing yet is missing.

    Args:
        run: RUN folder, or folder of predictions, in which nothing is trained.
        units: units that run, of which those that train are looked at.

    Raises:
        RunFolderError, PlanError: as `scope_of`.
    """
    trainings = {unit.name: trained_in(unit) for unit in units if unit.kind == "train"}
    if not trainings or not isinstance(run, RunFolder):
        return {}
    scope = scope_of(run)
    found = {
        unit: progress_of_fold(run.fold(name, fold), _planned_length(scope, name))
        for unit, (name, fold) in trainings.items()
    }
    return {unit: progress for unit, progress in found.items() if progress is not None}


def progress_of_fold(folder: Path, planned: int | None) -> FoldProgress | None:
    """Return how far the training of a fold is.

    Args:
        folder: folder of the fold's model.
        planned: planned number of steps, which holds as long as no checkpoint tells the present one; None = unknown.

    Returns:
        None where nothing can be read just now.
    """
    state, row = _last_state(folder / "checkpoint"), _last_row(folder / "log.csv")
    length = planned if state is None else [state.training, *state.events][-1].iterations
    try:
        # the log is written after every epoch, a checkpoint within epochs too, but not after each of them
        step = max(0 if state is None else state.step, int(row["step"]) if row else 0)
        loss, dice = (f"{float(row[name] or 'nan'):.3f}" if row else "" for name in ("loss", "train_dice"))
    except (KeyError, ValueError):
        return None
    if length is None or (state is None and not row) or step > MOST_STEPS:
        return None
    return FoldProgress(step, max(step, length), loss, dice, "training" if step < length else "validation")


def told_progress(progress: FoldProgress) -> str:
    """Say how far a training is."""
    steps = f"step {progress.step} of {progress.length}"
    return f"{steps}, now validation" if progress.left == "validation" else steps


def _planned_length(scope: Scope, name: str) -> int | None:
    if scope.plan is None or name not in scope.plan.configurations:
        return None
    training, epochs = scope.plan.configurations[name].training, scope.request.epochs
    return training.iterations if epochs is None else epochs * training.iterations_per_epoch


def _last_state(folder: Path) -> _State | None:
    """The state of the newest checkpoint; None where there is none that can be read just now."""
    try:
        names = [path.name for path in folder.iterdir() if _CHECKPOINT.fullmatch(path.name)]
    except OSError:
        return None
    # the newest one may be removed meanwhile, where training is set back
    for name in sorted(names, reverse=True)[:MOST_CHECKPOINTS]:
        content = first_bytes(folder / name / "state.json", MOST_STATE_BYTES + 1)
        with suppress(ValidationError):
            return _State.model_validate_json(content if len(content) <= MOST_STATE_BYTES else b"")
    return None


def _last_row(log: Path) -> dict[str, str]:
    """The cells of the last line of a fold's log, keyed by the names of their columns; empty where there is none."""
    lines = last_bytes(log, MOST_LINE_BYTES).decode(errors="replace").splitlines()
    header = first_bytes(log, MOST_LINE_BYTES).decode(errors="replace").partition("\n")[0].strip()
    if not lines or lines[-1] == header:
        return {}
    # numbers alone, and empty cells
    return dict(zip(header.split(","), lines[-1].split(","), strict=False))
