"""Checks the options of a command: each by itself, and against what the RUN folder already holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from autoseg.errors import InputError, RunFolderError
from autoseg.plan.configuration import Architecture
from autoseg.plan.defaults import DEFAULT_CPU_BUDGET
from autoseg.plan.plan import Plan
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import read_splits
from autoseg.terminal import format_duration, parse_duration

# Files that a RUN folder may hold before its first plan: a person's own folds, and leftovers of an interrupted start.
_BEFORE_THE_PLAN = {"splits.json", "splits.as_made.json", "time_spent.json", "dataset.json", "fingerprint.json"}


@dataclass(frozen=True)
class Asked:
    """Options that decide the plan; None where the person left the choice to autoseg.

    Args:
        budget: time budget of a whole run in seconds.
        memory_gb: device memory in GB that the plan may use.
        device: `cpu`, `cuda` or `mps`.
        architecture: architecture of the network.
        threads: number of threads that compute on a CPU.
        epochs: number of epochs of every fold; if given, the plan follows from counted work, not from measured time.
    """

    budget: float | None
    memory_gb: float | None
    device: str | None
    architecture: Architecture | None
    threads: int | None = None
    epochs: int | None = None

    @property
    def device_name(self) -> str:
        """Name of the device; `auto` where the person named none."""
        return self.device or "auto"

    def budget_on(self, device: str) -> float | None:
        """Time budget of a whole run in seconds: as asked, else 40 minutes on a CPU and None (no limit) elsewhere."""
        return self.budget or (DEFAULT_CPU_BUDGET if device == "cpu" else None)


def carried_over(wanted: Asked, former: Plan) -> Asked:
    """Complete the options by those of the former plan, where a plan is made anew because the data changed.

    Args:
        wanted: options that the person gives now; they take precedence over the former plan.
        former: plan that was made before the data changed.
    """
    architecture = next((c.network.architecture for c in former.configurations.values()), None)
    return Asked(
        budget=wanted.budget or former.time_budget_seconds,
        memory_gb=wanted.memory_gb or former.memory_gb,
        device=wanted.device or former.device,
        architecture=wanted.architecture or architecture,
        threads=wanted.threads,
        epochs=wanted.epochs,
    )


def asked(
    time_budget: str | float | None,
    memory: float | None,
    device: str,
    architecture: Architecture | None,
    *,
    threads: int | None = None,
    epochs: int | None = None,
) -> Asked:
    """Check each option by itself and return them together.

    Raises:
        InputError: an option is malformed.
    """
    if memory is not None and not 0.5 <= memory <= 10_000:
        raise InputError(f"--memory {memory:g}: give the memory of the device in GB, at least 0.5")
    if architecture is not None and architecture not in get_args(Architecture):
        raise InputError(f"--architecture {architecture}: unknown; there are {', '.join(get_args(Architecture))}")
    check_threads_and_epochs(threads, epochs)
    return Asked(
        budget=None if time_budget is None else parse_duration(time_budget),
        memory_gb=memory,
        device=None if device == "auto" else device,
        architecture=architecture,
        threads=threads,
        epochs=epochs,
    )


def check_threads_and_epochs(threads: int | None, epochs: int | None = None) -> None:
    """Refuse a number of threads or epochs below one.

    Raises:
        InputError: `threads` or `epochs` is less than 1.
    """
    if epochs is not None and epochs < 1:
        raise InputError(f"--epochs {epochs}: at least one")
    if threads is not None and threads < 1:
        raise InputError(f"--threads {threads}: at least one")


def configurations_of(config: str | Sequence[str]) -> tuple[str, ...]:
    """Return the names of the configurations, each once, from one name or several.

    Raises:
        InputError: no name is given.
    """
    names = (config,) if isinstance(config, str) else tuple(dict.fromkeys(config))
    if not names:
        raise InputError("--config: name at least one configuration, such as 3d")
    return names


def existing_run(path: Path | str) -> RunFolder:
    """Return the RUN folder at `path`.

    Raises:
        RunFolderError: `path` is no folder, or it holds no plan.
    """
    run = RunFolder(Path(path))
    if not run.path.is_dir():
        raise RunFolderError(f"{run.path}: is not a folder; give a RUN folder that plan-and-preprocess or run made")
    run.require(run.plan, "autoseg plan-and-preprocess")
    return run


def require_run_or_empty(run: RunFolder) -> None:
    """Refuse a folder that is neither a RUN folder nor empty, to protect a person's other files.

    Raises:
        RunFolderError: the path is a file, or a folder that holds other files.
    """
    if run.path.exists() and not run.path.is_dir():
        raise RunFolderError(f"{run.path}: is a file; give a folder for the run")
    if not run.path.exists() or run.plan.exists() or run.dataset.exists():
        return
    others = sorted(p.name for p in run.path.iterdir() if not p.name.startswith(".") and p.name not in _BEFORE_THE_PLAN)
    if others:
        raise RunFolderError(f"{run.path}: is no RUN folder and holds {others[0]}; give a new or an empty folder")


def trained_folds(run: RunFolder) -> tuple[str, ...]:
    """Return the folds that have weights or a checkpoint, each as a text like `3d fold 0`."""
    names = run.configurations_with_models()
    return tuple(f"{name} fold {fold}" for name in names for fold, _ in run.begun_folds(name))


def refuse_if_trained(run: RunFolder, why: str) -> None:
    """Refuse to make another plan where models are trained, since they would not fit it.

    Args:
        run: RUN folder that may hold models.
        why: beginning of the message: what would make another plan, such as `--replan makes another plan`.

    Raises:
        RunFolderError: a fold has weights or a checkpoint.
    """
    if folds := trained_folds(run):
        raise RunFolderError(
            f"{run.path}: {why}, which the trained models ({', '.join(folds)}) do not fit; "
            f"use a new RUN folder, or delete {run.path / 'models'}"
        )


def refuse_other_plan(run: RunFolder, asked: Asked, planned: Plan, configurations: Sequence[str]) -> None:
    """Refuse options that differ from those that the existing plan was made for.

    Raises:
        RunFolderError: an option differs; the message lists each difference and says what to do.
    """
    differences = []
    if asked.budget is not None and asked.budget != planned.time_budget_seconds:
        before = planned.time_budget_seconds
        had = "without a time budget" if before is None else f"with a time budget of {format_duration(before)}"
        differences.append(f"{had}, not {format_duration(asked.budget)}")
    if asked.memory_gb is not None and asked.memory_gb != planned.memory_gb:
        differences.append(f"for {planned.memory_gb:g} GB of memory, not {asked.memory_gb:g}")
    if asked.device is not None and asked.device.split(":")[0] != planned.device:
        differences.append(f"for the device {planned.device}, not {asked.device}")
    architectures = {c.network.architecture for c in planned.configurations.values()}
    if asked.architecture is not None and asked.architecture not in architectures:
        differences.append(f"with the architecture {', '.join(sorted(architectures))}, not {asked.architecture}")
    differences += _beyond_the_budget(run, planned, configurations)
    if differences:
        raise RunFolderError(f"{run.path}: was planned {'; '.join(differences)}; {how_to_plan_anew(run)}")


def how_to_plan_anew(run: RunFolder) -> str:
    """Advice for a person who wants another plan: `--replan`, or a new RUN folder once a fold has been trained."""
    if trained_folds(run):
        return "its models were trained by that plan, so use a new RUN folder"
    return "add --replan to plan again (this discards edits of plan.yaml), or use a new RUN folder"


def refuse_models_alone(run: RunFolder) -> None:
    """Refuse a copy made with `--models-only`, for commands that need folds and cases.

    Raises:
        RunFolderError: the folder holds models and no `splits.json`.
    """
    if trained_folds(run) and not run.splits.exists():
        raise RunFolderError(
            f"{run.path}: holds models alone, to predict with, and no cases to train on; "
            "train in the RUN folder that it was copied from"
        )


def _beyond_the_budget(run: RunFolder, planned: Plan, configurations: Sequence[str]) -> list[str]:
    """Return a difference if the folds of these configurations together take longer than the time budget.

    The plan shares the budget out only to the configurations that were asked for when it was made.
    """
    if planned.time_budget_seconds is None or len(configurations) == 1 or not run.splits.exists():
        return []
    of_one_fold = sum(planned.configuration(name).training.seconds or 0.0 for name in configurations)
    if len(read_splits(run.splits)) * of_one_fold <= planned.time_budget_seconds:
        return []
    return [f"without time for {' and '.join(configurations)} together"]
