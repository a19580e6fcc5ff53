"""Messages of the commands: the time budget, the plan beside the reference plan, and the time spent."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from autoseg.commands.plan_options import PlanOptions
from autoseg.dataset.case import Dataset
from autoseg.dataset.drawn_on import counts_told
from autoseg.dataset.fingerprint import Fingerprint, is_of_slices
from autoseg.dataset.record import DatasetRecord
from autoseg.machine.other_programs import DISTURBING
from autoseg.names import listed
from autoseg.plan.configuration import Configuration
from autoseg.plan.defaults import SLICES_ALONE
from autoseg.plan.plan import Plan, read_reasons
from autoseg.plan.time_shares import SECONDS_A_FOLD, rounds, smallest_budget
from autoseg.run_folder.budget_use import budget_use
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.split_notes import notes_on_classes, notes_on_splits
from autoseg.run_folder.splits import Split
from autoseg.run_folder.step_costs import MeasuredStep, StepCosts
from autoseg.run_folder.time_spent import read_time_spent
from autoseg.run_folder.trained_on import cases_changed_since
from autoseg.terminal import format_duration

FEW_ITERATIONS = 100
"""With fewer steps per fold than this, a network has hardly begun to learn, and the user is warned."""


CASES_NAMED = 3
"""So many cases are named in a message; the others are counted."""

UNUSED_MEMORY = 1.5
"""From this many times the planned memory on, a device's free memory is said to be left unused."""


def say_changed_cases(console: Console, run: RunFolder, plan: Plan, configurations: Sequence[str]) -> None:
    """Say which folds were trained on other files than the data set has now, and what to do."""
    for name in configurations:
        for fold, folder in run.begun_folds(name):
            if changed := cases_changed_since(run, plan, name, fold):
                finished = run.is_finished(name, fold)
                meaning = "are those of the earlier files" if finished else "will be those of both"
                console.print(
                    f"{name}, fold {fold}: was begun with earlier files of {listed(changed, CASES_NAMED)}. Its "
                    f"results {meaning}; delete {folder} to train it anew.",
                    style="yellow",
                )


def say_drawn_on(console: Console, plan: Plan, drawn_on: Sequence[str | None]) -> None:
    """Say on which sequences the labels were drawn, and what follows from it; nothing where the data set does not."""
    if not any(drawn_on):
        return
    meaning = (
        "; sequences are taken as they lie, since --align was not given"
        if plan.align is None
        else f": the other sequences of each case are aligned onto it, and those of new images onto {plan.align}, "
        "unless their table says otherwise"
    )
    console.print(f"Labels were drawn on {counts_told(drawn_on)}, by the column drawn_on{meaning}.", soft_wrap=True)


def say_notes_on_splits(
    console: Console, run: RunFolder, splits: Sequence[Split], dataset: Dataset | DatasetRecord
) -> None:
    """Say in what a person's own folds differ from those that autoseg makes, and how to have these."""
    notes = notes_on_splits(splits, dataset)
    for note in notes:
        console.print(note, style="yellow", soft_wrap=True)
    if notes:
        console.print(
            f"Delete {run.splits} to have folds made anew; models that are trained already would no longer fit.",
            style="yellow",
            soft_wrap=True,
        )


def say_notes_on_classes(console: Console, splits: Sequence[Split], dataset: Dataset) -> None:
    """Say of which folds the training cases do not know some class."""
    for note in notes_on_classes(splits, dataset):
        console.print(note, style="yellow", soft_wrap=True, markup=False)


def say_if_slices_alone(console: Console, fingerprint: Fingerprint, configurations: Sequence[str]) -> None:
    """Say that images of one slice are planned as slices, which is another default than that of volumes."""
    if tuple(configurations) == SLICES_ALONE and is_of_slices(fingerprint):
        flat = sum(1 in case.cropped_shape for case in fingerprint.cases)
        console.print(
            f"{flat} of {len(fingerprint.cases)} images have one slice, so 2d is planned: networks that see the plane."
        )


def say_other_devices(console: Console, plan: Plan, devices: int) -> None:
    """Say what it means that the plan was made for another number of devices than those that train now."""
    if plan.time_budget_seconds is None or plan.devices == devices:
        return
    more = devices > plan.devices
    console.print(
        f"Planned for {_devices(plan.devices)}, trained on {_devices(devices)}: each fold gets "
        f"{'more' if more else 'less'} time than planned, and its schedule follows. --replan, before the first fold is "
        f"trained, would plan for {'it' if devices == 1 else 'them'}.",
        style="yellow",
    )


def _devices(count: int) -> str:
    return "one device" if count == 1 else f"{count} devices side by side"


def say_budget(console: Console, budget: float | None, device: str, wanted: PlanOptions) -> None:
    """Print how long a run may take, and what more time would improve.

    Args:
        console: console to print to.
        budget: time budget of a whole run in seconds; None = no limit.
        device: type of the device that the plan is made for, such as `cpu`.
        wanted: options that the person gave.
    """
    if wanted.epochs is not None:
        _say_budget_of_plan(console, budget, device, wanted)
        return
    if budget is None:
        console.print(
            f"No time limit on {device}: the length of training follows from the data set and is stated with the plan. "
            "More time buys more steps, up to the reference plan's (training.iterations in plan.yaml); "
            "--time-budget 12h fits the plan into less."
        )
        return
    console.print(
        f"Time budget: {format_duration(budget)} for the whole run ({_chosen(budget, device, wanted)}), restarts "
        f"included. More time buys finer spacing, larger networks and more iterations: --time-budget "
        f"{_short(2 * budget)}."
    )


def _say_budget_of_plan(console: Console, budget: float | None, device: str, wanted: PlanOptions) -> None:
    """Print what the plan is made for where the person gave epochs, which decide how long the run takes."""
    made_for = (
        f"no time limit on {device}"
        if budget is None
        else f"a run of {format_duration(budget)} ({_chosen(budget, device, wanted)})"
    )
    console.print(
        f"The plan is made for {made_for}. How long the run takes follows from --epochs {wanted.epochs}: no time "
        "budget ends it."
    )


def _chosen(budget: float, device: str, wanted: PlanOptions) -> str:
    is_default = wanted.budget is None and budget == wanted.budget_on(device)
    return f"the default on {device}" if is_default else "as asked"


def say_plan(
    console: Console,
    run: RunFolder,
    plan: Plan,
    reference: Plan,
    configurations: Sequence[str],
    folds: int,
    costs: StepCosts | None = None,
    epochs: int | None = None,
) -> None:
    """Print the plan beside the reference plan, and how reliable the time of a step is.

    Args:
        console: console to print to.
        run: RUN folder that holds `plan.yaml`.
        plan: plan that will be trained.
        reference: plan by nnU-Net's rules, without a time limit.
        configurations: names of the configurations that will be trained.
        folds: number of folds of each configuration.
        costs: training steps that were measured for the plan; None = nothing is known of them.
        epochs: number of epochs of each fold that the person gave; None = the plan decides.
    """
    reasons = read_reasons(run.plan)
    for name in configurations:
        planned, full = plan.configuration(name), reference.configuration(name)
        table = Table("", "planned", "reference plan", title=f"{name}, {folds} folds")
        for (row, ours), (_, theirs) in zip(_facts(planned), _facts(full), strict=True):
            table.add_row(row, ours, theirs)
        console.print(table)
        seconds = planned.training.seconds
        if epochs is not None:
            steps = epochs * planned.training.iterations_per_epoch
            console.print(
                f"A fold is trained for {steps:,} steps, by --epochs {epochs}; {planned.training.iterations:,} are "
                "planned."
            )
        elif seconds is not None:
            console.print(
                f"Steps of {seconds / planned.training.iterations:.2g} s{_how_sure(planned, costs)}. A fold is trained "
                f"for {format_duration(seconds)}, with as many steps as the machine's real pace affords. The "
                f"reference plan shows each fold {_times(patch_voxels(full) / patch_voxels(planned))} as many voxels: "
                "that is what more time buys.",
            )
        else:
            reason = reasons.get(f"configurations.{name}.training.iterations")
            console.print(
                f"A fold is trained for {planned.training.iterations:,} steps{f': {reason}' if reason else ''}. "
                f"The reference plan's {full.training.iterations:,} are what more time buys.",
            )
    console.print(f"Every decision and its reason: {run.plan}")


def say_memory(console: Console, plan: Plan, free_bytes: int | None) -> None:
    """Tell how much of a device's memory the plan leaves unused, and the option that would use it.

    Args:
        console: console to print to.
        plan: plan that will be trained.
        free_bytes: bytes that are free on the device; None = not known.
    """
    if free_bytes is None or free_bytes / 2**30 < UNUSED_MEMORY * plan.memory_gb:
        return
    console.print(
        f"The plan is made for {plan.memory_gb:g} GB of memory; {free_bytes / 2**30:.0f} GB are free "
        "on the device. --memory auto plans larger patches or batches for all of it (with --replan, or in a new RUN "
        "folder)."
    )


def say_unmeasured(console: Console, plan: Plan) -> None:
    """Tell that a plan was made for a device that this machine lacks, and what that means."""
    device = plan.device
    console.print(
        f"This machine has no {device} device, so that no training step was measured: this is the reference plan, for "
        f"a device of at least {plan.memory_gb:g} GB. Train it on a machine with {device}.",
        style="yellow",
    )


def say_other_device(console: Console, run: RunFolder, plan: Plan, device: str) -> None:
    """Warn if a plan was made for another type of device than the one that trains.

    Args:
        console: console to print to.
        run: RUN folder that holds the plan.
        plan: plan that is trained.
        device: type of the device that trains, such as `cpu`.
    """
    if plan.device != device:
        console.print(
            f"{run.plan} was made for {plan.device}, and this training runs on {device}: patch, batch and length do "
            f"not follow from what {device} can do. To plan for it: --replan with --device {device}, before anything "
            "is trained, or a new RUN folder.",
            style="yellow",
        )


def say_if_too_little(
    console: Console, run: RunFolder, plan: Plan, configurations: Sequence[str], folds: int, costs: StepCosts
) -> None:
    """Warn if the time budget is too small for a useful model, and name the smallest useful one for this machine.

    Args:
        console: console to print to.
        run: RUN folder that holds the time spent so far.
        plan: plan that will be trained.
        configurations: configurations that share the time; a dimension of a study is named once for each of its cells.
        folds: number of folds of each configuration.
        costs: training steps that were measured for the plan.
    """
    budget, trained = plan.time_budget_seconds, [plan.configuration(name) for name in configurations]
    fewest = min(configuration.training.iterations for configuration in trained)
    if budget is None or fewest >= FEW_ITERATIONS:
        return
    needed = 0.0
    for configuration in trained:
        of_steps = FEW_ITERATIONS * _seconds_a_step(configuration, costs)
        needed += folds * (of_steps + (configuration.training.validation_seconds or 0.0) + SECONDS_A_FOLD)
    trainings = folds * len(trained)
    needed *= rounds(trainings, plan.devices) / trainings
    least = math.ceil(smallest_budget(read_time_spent(run).total, needed) / 60)
    console.print(
        f"{format_duration(budget)} are too little for a useful model: {fewest} steps a fold. The least that makes "
        f"sense for these data on this machine is about --time-budget {_short(60 * least)} (with --replan, or in a "
        "new RUN folder). What the time allows is done all the same.",
        style="yellow",
    )


def _measurements_of(planned: Configuration, costs: StepCosts | None) -> list[MeasuredStep]:
    """The measurements of a configuration's training step."""
    what = planned.network, planned.patch_size, planned.batch_size
    return [step for step in (costs.steps if costs else ()) if (step.network, step.patch_size, step.batch_size) == what]


def _seconds_a_step(planned: Configuration, costs: StepCosts) -> float:
    """Seconds of a step: the fastest measurement, or the plan's estimate where nothing was measured."""
    measured = [step.seconds for step in _measurements_of(planned, costs) if step.seconds is not None]
    return min(measured) if measured else (planned.training.seconds or 0.0) / planned.training.iterations


def _how_sure(planned: Configuration, costs: StepCosts | None) -> str:
    """Words on how the time of a configuration's step was found; empty for an undisturbed measurement."""
    others = [step.others for step in _measurements_of(planned, costs)]
    if costs is None or not others:
        return ", estimated"
    if min(others) < DISTURBING:
        return ""
    return f", measured while other programs used {min(others):.1f} of {costs.cores} cores"


def patch_voxels(configuration: Configuration) -> float:
    """Number of voxels that the network sees during the training of one fold."""
    return float(math.prod(configuration.patch_size)) * configuration.batch_size * configuration.training.iterations


def _facts(configuration: Configuration) -> list[tuple[str, str]]:
    training, network = configuration.training, configuration.network
    spacing = " x ".join("as it is" if s is None else f"{s:.3g}" for s in configuration.spacing)
    return [
        ("spacing (z, y, x), mm", spacing),
        ("patch (z, y, x)", " x ".join(map(str, configuration.patch_size))),
        ("batch", str(configuration.batch_size)),
        ("features", f"{network.features[0]} to {network.features[-1]} in {len(network.features)} stages"),
        ("iterations a fold", f"{training.iterations:,}"),
    ]


def _times(factor: float) -> str:
    return f"{factor:.0f} times" if factor >= 10 else f"{factor:.1f} times"


def _short(seconds: float) -> str:
    """Write seconds in the form that `--time-budget` takes, such as `1h30m`."""
    minutes = max(1, round(seconds / 60))
    hours, rest = divmod(minutes, 60)
    return f"{hours}h{rest}m" if hours and rest else f"{hours}h" if hours else f"{minutes}m"


def say_time(console: Console, run: RunFolder, plan: Plan) -> None:
    """Print the time that each stage took and their sum, and then the sum beside the time budget."""
    spent = read_time_spent(run)
    table = Table("stage", "time", title="Time spent")
    for stage in spent.seconds:
        table.add_row(stage, spent.told(stage))
    table.add_row("all", format_duration(spent.total), style="bold")
    console.print(table)
    console.print(f"Time: {budget_use(run, plan).text()}.")
