"""The options that decide a plan: checked each by itself, and against the plan that a RUN folder already holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from autoseg.commands.devices import choose_devices
from autoseg.commands.guards import trained_folds
from autoseg.dataset.drawn_on import most_common
from autoseg.errors import InputError, RunFolderError
from autoseg.machine.cores import available_cores
from autoseg.plan.configuration import Architecture
from autoseg.plan.defaults import DEFAULT_CPU_BUDGET
from autoseg.plan.plan import FIRST, Plan, read_plan
from autoseg.plan.time_shares import rounds
from autoseg.run_folder.dataset_record import read_record
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import read_splits
from autoseg.terminal import format_duration, parse_duration

NOT_ALIGNED = "none"
"""What a person gives for --align so that sequences are taken as they lie."""


@dataclass(frozen=True)
class PlanOptions:
    """Options that decide the plan; None where the person left the choice to autoseg.

    Args:
        budget: time budget of a whole run in seconds.
        memory_gb: device memory in GB that the plan is made for; `auto` = all that is free on the device.
        device: `cpu`, `cuda`, `cuda:N` or `mps`.
        architecture: architecture of the network.
        threads: number of threads that compute on a CPU, in each of several processes.
        epochs: number of epochs of every fold; if given, the plan follows from counted work, not from measured time.
        devices: names of the devices that train folds side by side; empty = one fold after the other.
        align: sequence onto which the others of a case are moved, or `first`.
        at_once: number of folds that are trained at the same time on other machines than this one alone.
    """

    budget: float | None
    memory_gb: float | Literal["auto"] | None
    device: str | None
    architecture: Architecture | None
    threads: int | None = None
    epochs: int | None = None
    devices: tuple[str, ...] = ()
    align: str | None = None
    at_once: int = 1

    @property
    def count(self) -> int:
        """Number of folds that are trained at the same time."""
        return max(1, self.at_once, len(self.devices))

    @property
    def threads_of_a_fold(self) -> int | None:
        """Threads that compute for a fold on a CPU: as asked, else its share of the cores; None = all that are free."""
        if self.threads is not None or not self.devices or self.devices[0] != "cpu":
            return self.threads
        return max(1, available_cores() // len(self.devices))

    @property
    def device_name(self) -> str:
        """Name of the device; `auto` where the person named none."""
        return self.device or "auto"

    def budget_on(self, device: str) -> float | None:
        """Time budget of a whole run in seconds: as asked, else 40 minutes on a CPU and None (no limit) elsewhere."""
        return self.budget or (DEFAULT_CPU_BUDGET if device == "cpu" else None)


def sequence_to_align_onto(
    asked: str | None, channels: Sequence[str], drawn_on: Sequence[str | None] = ()
) -> str | None:
    """Return the name of the sequence that --align names, `first`, or None where nothing is aligned.

    Args:
        asked: what the person gave; upper and lower case do not matter.
        channels: names of the sequences of the data set.
        drawn_on: for each case the sequence that its label was drawn on, where the data set says so. Then `first`
            stands for the most common one, which new images are aligned onto.

    Raises:
        InputError: there is no such sequence.
    """
    if asked is None or asked.casefold() == NOT_ALIGNED:
        return None
    found = next((name for name in (FIRST, *channels) if name.casefold() == asked.casefold()), None)
    if found is None:
        raise InputError(
            f"--align {asked}: there is no such sequence; there are {', '.join(channels)}, {FIRST} or {NOT_ALIGNED}"
        )
    return most_common(drawn_on) or FIRST if found == FIRST else found


def carried_over(wanted: PlanOptions, former: Plan, memory_gb: float) -> PlanOptions:
    """Complete the options by those of the former plan, where a plan is made anew because the data changed.

    Args:
        wanted: options that the person gives now; they take precedence over the former plan.
        former: plan that was made before the data changed.
        memory_gb: memory in GB that the former plan was asked for, which the plan itself may have lowered.
    """
    architecture = next((c.network.architecture for c in former.configurations.values()), None)
    return PlanOptions(
        budget=wanted.budget or former.time_budget_seconds,
        memory_gb=wanted.memory_gb or memory_gb,
        device=wanted.device or former.device,
        architecture=wanted.architecture or architecture,
        threads=wanted.threads,
        epochs=wanted.epochs,
        devices=wanted.devices,
        align=wanted.align or former.align,
        at_once=wanted.at_once,
    )


def check_plan_options(
    time_budget: str | float | None,
    memory: float | Literal["auto"] | None,
    device: str,
    architecture: Architecture | None,
    *,
    devices: Sequence[str | int] | None = None,
    threads: int | None = None,
    epochs: int | None = None,
    align: str | None = None,
    elsewhere: bool = False,
) -> PlanOptions:
    """Check each option by itself and return them together.

    Args:
        time_budget: time for the whole run, restarts included, such as `90m` or `2h`.
        memory: memory in GB that the plan is made for, or `auto`.
        device: name of the device that plans and trains: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
        architecture: name of the kind of U-Net, `plain` or one of the residual encoders; None = the plan decides.
        devices: devices that train side by side.
        threads: number of threads that compute on a CPU.
        epochs: number of epochs of each fold.
        align: sequence onto which the others are moved.
        elsewhere: whether other machines do the work, so that devices are looked for there, and not here.

    Raises:
        InputError: an option is malformed.
    """
    if architecture is not None and architecture not in get_args(Architecture):
        raise InputError(f"--architecture {architecture}: unknown; there are {', '.join(get_args(Architecture))}")
    if elsewhere:
        device, devices = "cpu", None
    names = choose_devices(device, devices)
    if devices is not None:
        # the plan is made on the first of them; they are of one kind
        device = names[0]
    return PlanOptions(
        budget=None if time_budget is None else parse_duration(time_budget),
        memory_gb=memory,
        device=None if device == "auto" else device,
        architecture=architecture,
        threads=threads,
        epochs=epochs,
        devices=names if len(names) > 1 else (),
        align=align,
    )


def refuse_other_plan(run: RunFolder, wanted: PlanOptions, planned: Plan, configurations: Sequence[str]) -> None:
    """Refuse options that differ from those that the existing plan was made for.

    Raises:
        RunFolderError: an option differs; the message lists each difference and says what to do.
    """
    differences = []
    if wanted.budget is not None and wanted.budget != planned.time_budget_seconds:
        before = planned.time_budget_seconds
        had = "without a time budget" if before is None else f"with a time budget of {format_duration(before)}"
        differences.append(f"{had}, not {format_duration(wanted.budget)}")
    memory_gb = memory_asked_for(run, planned)
    # what is free on a device changes from moment to moment, so that `auto` cannot be compared
    if isinstance(wanted.memory_gb, float | int) and wanted.memory_gb != memory_gb:
        differences.append(f"for {memory_gb:g} GB of memory, not {wanted.memory_gb:g}")
    if wanted.device is not None and wanted.device.split(":")[0] != planned.device:
        differences.append(f"for the device {planned.device}, not {wanted.device}")
    architectures = {c.network.architecture for c in planned.configurations.values()}
    if wanted.architecture is not None and wanted.architecture not in architectures:
        differences.append(f"with the architecture {', '.join(sorted(architectures))}, not {wanted.architecture}")
    if wanted.align is not None and not _is_align_of(run, planned, wanted.align):
        differences.append(f"with align: {planned.align or 'null'}, not {wanted.align}")
    if wanted.epochs is None:
        differences += _beyond_the_budget(run, planned, configurations)
    if differences:
        raise RunFolderError(f"{run.path}: was planned {'; '.join(differences)}; {how_to_plan_anew(run)}")


def _is_align_of(run: RunFolder, planned: Plan, asked: str) -> bool:
    """Whether a plan aligns as --align asks; `first` may stand for the sequence that most labels were drawn on."""
    meant = [asked.casefold()]
    if meant == [FIRST] and run.dataset.exists():
        common = most_common(case.drawn_on for case in read_record(run).cases)
        meant += [common.casefold()] if common is not None else []
    return (planned.align or NOT_ALIGNED).casefold() in meant


def memory_asked_for(run: RunFolder, planned: Plan) -> float:
    """Memory in GB that a plan was asked for; the plan that is followed may have less, where the device has less."""
    return read_plan(run.reference_plan).memory_gb if run.reference_plan.exists() else planned.memory_gb


def how_to_plan_anew(run: RunFolder) -> str:
    """Advice for a person who wants another plan: `--replan`, or a new RUN folder once a fold has been trained."""
    if trained_folds(run):
        return "its models were trained by that plan, so use a new RUN folder"
    return "add --replan to plan again (this discards edits of plan.yaml), or use a new RUN folder"


def _beyond_the_budget(run: RunFolder, planned: Plan, configurations: Sequence[str]) -> list[str]:
    """Return a difference if the folds of these configurations together take longer than the time budget.

    The plan shares the budget out only to the configurations that were asked for when it was made.
    """
    if planned.time_budget_seconds is None or len(configurations) <= 1 or not run.splits.exists():
        return []
    of_one_fold = sum(planned.configuration(name).training.seconds or 0.0 for name in configurations)
    trainings = len(read_splits(run.splits)) * len(configurations)
    # the folds of one device have the whole budget; a fold has the mean over the configurations
    if rounds(trainings, planned.devices) * of_one_fold / len(configurations) <= planned.time_budget_seconds:
        return []
    return [f"without time for {' and '.join(configurations)} together"]
