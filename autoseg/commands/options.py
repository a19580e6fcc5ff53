"""What a person asked for, and whether that goes together with what a RUN folder already holds."""

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

# What may lie in a folder before its first plan: a user's own folds, and what a stopped start left.
_BEFORE_THE_PLAN = {"splits.json", "splits.as_made.json", "time_spent.json", "dataset.json", "fingerprint.json"}


@dataclass(frozen=True)
class Asked:
    """Options that decide the plan; None where the person left the choice to autoseg.

    Args:
        budget: seconds for a whole run.
        memory_gb: memory target of the planner.
        device: `cpu`, `cuda` or `mps`.
        architecture: of the network.
        threads: that compute on a CPU.
        epochs: length of every fold's schedule; the plan is then made without looking at any clock.
    """

    budget: float | None
    memory_gb: float | None
    device: str | None
    architecture: Architecture | None
    threads: int | None = None
    epochs: int | None = None

    @property
    def device_name(self) -> str:
        """The device to resolve: `auto` where none was asked for."""
        return self.device or "auto"

    def budget_on(self, device: str) -> float | None:
        """Seconds for a whole run on a device: as asked, else 40 minutes on a CPU and no limit elsewhere."""
        return self.budget or (DEFAULT_CPU_BUDGET if device == "cpu" else None)


def carried_over(wanted: Asked, former: Plan) -> Asked:
    """What to plan for where a plan is made anew, not because of other options but of other data.

    Args:
        wanted: what the person asks for now; it goes before the former plan.
        former: the plan as it was made before.
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
    """Check the options one by one.

    Raises:
        InputError: one is malformed.
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
    """Refuse numbers of threads or epochs that are none.

    Raises:
        InputError: one is less than 1.
    """
    if epochs is not None and epochs < 1:
        raise InputError(f"--epochs {epochs}: at least one")
    if threads is not None and threads < 1:
        raise InputError(f"--threads {threads}: at least one")


def configurations_of(config: str | Sequence[str]) -> tuple[str, ...]:
    """Names of configurations, each once, from one name or several.

    Raises:
        InputError: there is none.
    """
    names = (config,) if isinstance(config, str) else tuple(dict.fromkeys(config))
    if not names:
        raise InputError("--config: name at least one configuration, such as 3d")
    return names


def existing_run(path: Path | str) -> RunFolder:
    """The RUN folder at `path`.

    Raises:
        RunFolderError: there is none.
    """
    run = RunFolder(Path(path))
    if not run.path.is_dir():
        raise RunFolderError(f"{run.path}: is not a folder; give a RUN folder that plan-and-preprocess or run made")
    run.require(run.plan, "autoseg plan-and-preprocess")
    return run


def require_run_or_empty(run: RunFolder) -> None:
    """Refuse to write among a person's other files.

    Raises:
        RunFolderError: the path is a file, or a folder with other things in it.
    """
    if run.path.exists() and not run.path.is_dir():
        raise RunFolderError(f"{run.path}: is a file; give a folder for the run")
    if not run.path.exists() or run.plan.exists() or run.dataset.exists():
        return
    others = sorted(p.name for p in run.path.iterdir() if not p.name.startswith(".") and p.name not in _BEFORE_THE_PLAN)
    if others:
        raise RunFolderError(f"{run.path}: is no RUN folder and holds {others[0]}; give a new or an empty folder")


def trained_folds(run: RunFolder) -> tuple[str, ...]:
    """Folds that have weights or a checkpoint, as `3d fold 0`."""
    names = run.configurations_with_models()
    return tuple(f"{name} fold {fold}" for name in names for fold, _ in run.begun_folds(name))


def refuse_if_trained(run: RunFolder, why: str) -> None:
    """Keep models from being orphaned by another plan.

    Args:
        run: where models may be.
        why: what would make another plan, such as `--replan makes another plan`.

    Raises:
        RunFolderError: a fold has been trained.
    """
    if folds := trained_folds(run):
        raise RunFolderError(
            f"{run.path}: {why}, which the trained models ({', '.join(folds)}) do not fit; "
            f"use a new RUN folder, or delete {run.path / 'models'}"
        )


def refuse_other_plan(run: RunFolder, asked: Asked, planned: Plan, configurations: Sequence[str]) -> None:
    """Compare options with those that an existing plan was made for.

    Raises:
        RunFolderError: they ask for another plan; the message lists each difference, and says what to do.
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
    """What a person can do who wants another plan: `--replan`, which is refused once a fold has been trained."""
    if trained_folds(run):
        return "its models were trained by that plan, so use a new RUN folder"
    return "add --replan to plan again (this discards edits of plan.yaml), or use a new RUN folder"


def refuse_models_alone(run: RunFolder) -> None:
    """Refuse a copy that was made with `--models-only`, where folds and cases are needed.

    Raises:
        RunFolderError: it is one.
    """
    if trained_folds(run) and not run.splits.exists():
        raise RunFolderError(
            f"{run.path}: holds models alone, to predict with, and no cases to train on; "
            "train in the RUN folder that it was copied from"
        )


def _beyond_the_budget(run: RunFolder, planned: Plan, configurations: Sequence[str]) -> list[str]:
    """Whether the folds of all these configurations together take longer than the time budget.

    It is shared out to those that were asked for when the plan was made.
    """
    if planned.time_budget_seconds is None or len(configurations) == 1 or not run.splits.exists():
        return []
    of_one_fold = sum(planned.configuration(name).training.seconds or 0.0 for name in configurations)
    if len(read_splits(run.splits)) * of_one_fold <= planned.time_budget_seconds:
        return []
    return [f"without time for {' and '.join(configurations)} together"]
