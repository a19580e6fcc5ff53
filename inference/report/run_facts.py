"""Collects the facts of a run for the report: data, plan, training of each fold, time and selection.

In: the files of a RUN folder. Out: `RunFacts`, tables of text. Whatever is missing (for example a copied run
without its fingerprint, or a fold that is still training) is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from autoseg.dataset.fingerprint import Fingerprint, read_fingerprint
from autoseg.dataset.record import DatasetRecord
from autoseg.disk.csv_files import read_rows
from autoseg.plan.plan import Plan, read_plan
from autoseg.run_folder.budget_use import BudgetUse, budget_use
from autoseg.run_folder.dataset_record import read_record
from autoseg.run_folder.finished_fold import read_finished
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.plan_edits import read_planned_reasons
from autoseg.run_folder.selection import Selection, read_selection
from autoseg.run_folder.splits import Split
from autoseg.run_folder.time_spent import read_time_spent
from autoseg.terminal import format_duration
from inference.report.fact import Fact
from inference.report.plan_facts import plan_facts
from inference.report.sequence_displacement import sequences_apart

_APART = "the patient's movement between sequences, measured where edges of both agree"


@dataclass(frozen=True)
class FoldFacts:
    """How a fold was trained.

    Args:
        fold: index of the fold.
        train: number of training cases.
        validation: number of validation cases.
        steps: number of training steps as text; "not finished" before the end of the training.
        time: time of the training as text; empty before its end.
        device: device, dtype and torch version; empty before the end of the training.
        events: sentences on what changed the training, such as a shortened schedule.
    """

    fold: int
    train: int
    validation: int
    steps: str
    time: str
    device: str
    events: tuple[str, ...]


@dataclass(frozen=True)
class FoldLog:
    """Columns of a fold's `log.csv`, one value for each line; `val_dice` is None where no validation took place."""

    step: tuple[float, ...]
    loss: tuple[float, ...]
    train_dice: tuple[float, ...]
    val_dice: tuple[float | None, ...]


@dataclass(frozen=True)
class RunFacts:
    """All facts of a run.

    Args:
        data: facts about the data set and its images.
        plan: facts about the planned configuration.
        folds: how each fold was trained.
        logs: training log by fold; folds without a readable log are left out.
        times: how the time budget was used, and the time of each stage.
        selected: what `autoseg select` chose for prediction; empty where nothing was selected.
        selection: the whole choice, if this configuration takes part in it; else None.
    """

    data: tuple[Fact, ...]
    plan: tuple[Fact, ...]
    folds: tuple[FoldFacts, ...]
    logs: dict[int, FoldLog]
    times: tuple[Fact, ...]
    selected: tuple[Fact, ...] = ()
    selection: Selection | None = None


def run_facts(run: RunFolder, plan: Plan, configuration: str, splits: Sequence[Split]) -> RunFacts:
    """Collect the facts of a configuration.

    Args:
        run: RUN folder to read.
        plan: plan of the run.
        configuration: name of the configuration.
        splits: folds of the configuration.

    Raises:
        RunFolderError, PlanError: a file exists, but is malformed.
    """
    record = read_record(run) if run.dataset.exists() else None
    fingerprint = read_fingerprint(run.fingerprint) if run.fingerprint.exists() else None
    planned = read_plan(run.planned) if run.planned.exists() else plan
    spent = read_time_spent(run)
    selection = read_selection(run, plan)
    logs = {i: log for i in range(len(splits)) if (log := read_log(run.fold(configuration, i) / "log.csv"))}
    return RunFacts(
        data=(*_record_facts(plan, record), *_fingerprint_facts(fingerprint)),
        plan=plan_facts(plan, planned, configuration, read_planned_reasons(run)),
        folds=tuple(_fold_facts(run, configuration, i, split) for i, split in enumerate(splits)),
        logs=logs,
        times=(
            *_used_facts(budget_use(run, plan)),
            *(Fact(stage, spent.told(stage)) for stage in spent.seconds),
        ),
        selected=selection_facts(selection),
        selection=selection if selection is not None and configuration in selection.configurations else None,
    )


def selection_facts(selection: Selection | None) -> tuple[Fact, ...]:
    """Facts on what was selected and on the scores behind the choice; empty where nothing was selected."""
    if selection is None:
        return ()
    facts = [Fact("configurations", " + ".join(selection.configurations))]
    if selection.candidates:
        scores = [f"{' + '.join(c.configurations)} {_dice(c.mean_dice)}" for c in selection.candidates[:5]]
        compared = f"mean Dice over the same {selection.cases} cases; {len(selection.candidates)} were compared"
        facts.append(Fact("the best candidates", ", ".join(scores), compared))
    facts += [Fact(f"post-processing of {rule.name}", rule.text()) for rule in selection.post_processing]
    if not selection.post_processing:
        facts.append(Fact("post-processing", "none"))
    elif selection.post_processed is not None:
        reason = "fitted for each fold to the cases of the others"
        facts.append(Fact("mean Dice after post-processing", _dice(selection.post_processed.mean_dice), reason))
    facts.append(Fact("operating point", selection.operating_point, selection.why_this_point))
    return (*facts, *(Fact("note", note) for note in selection.notes))


def _used_facts(used: BudgetUse) -> tuple[Fact, ...]:
    """Planned time, the time that passed, its useful part, revisions of schedules and changes of threads."""
    of_budget = f" ({used.share} of the budget)" if used.share is not None else ""
    return (
        Fact("planned", "no limit" if used.budget is None else format_duration(used.budget)),
        Fact("taken", format_duration(used.spent) + of_budget, "all stages below; this report is not yet counted"),
        Fact(
            "of which useful work",
            format_duration(used.used),
            "training steps, validation, preprocessing, selection and report",
        ),
        Fact("revisions of schedules", "; ".join(used.revisions) or "none"),
        Fact("changes of threads", str(used.thread_changes), "given up where other programs compute"),
    )


def read_log(path: Path) -> FoldLog | None:
    """Read a fold's `log.csv`; None where the file is missing, empty or malformed."""
    try:
        lines = read_rows(path)
        _, header = next(lines)
        rows = [dict(zip(header, cells, strict=False)) for _, cells in lines]
        log = FoldLog(
            step=tuple(float(row["step"]) for row in rows),
            loss=tuple(float(row["loss"]) for row in rows),
            train_dice=tuple(float(row["train_dice"] or "nan") for row in rows),
            val_dice=tuple(float(row["val_dice"]) if row["val_dice"] else None for row in rows),
        )
    except (OSError, KeyError, ValueError, StopIteration):
        # the report then lacks one chart, which is better than no report
        return None
    return log if rows else None


def _record_facts(plan: Plan, record: DatasetRecord | None) -> list[Fact]:
    facts = [Fact("data set", plan.dataset)]
    if record is not None:
        patients = {case.patient or case.name for case in record.cases}
        count = f"{len(record.cases)} cases"
        facts.append(
            Fact("annotated", count + (f" of {len(patients)} patients" if len(patients) < len(record.cases) else ""))
        )
        acquired = [sum(case.images[i] is not None for case in record.cases) for i in range(len(record.channels))]
        channels = [
            name + ("" if n == len(record.cases) else f" (in {n} of {len(record.cases)} cases)")
            for name, n in zip(record.channels, acquired, strict=True)
        ]
        facts.append(Fact("sequences", ", ".join(channels)))
    else:
        facts.append(Fact("sequences", ", ".join(channel.name for channel in plan.channels)))
    facts.append(Fact("classes", ", ".join(plan.labels.foreground)))
    return facts


def _fingerprint_facts(fingerprint: Fingerprint | None) -> list[Fact]:
    if fingerprint is None or not fingerprint.cases:
        return []
    cases = fingerprint.cases
    spacing = [_range([case.spacing[axis] for case in cases], 2) for axis in range(3)]
    size = [_range([float(case.shape[axis]) for case in cases], 0) for axis in range(3)]
    orientations = Counter(case.orientation for case in cases)
    facts = [
        Fact("voxel size (z, y, x)", " × ".join(spacing) + " mm"),
        Fact("image size (z, y, x)", " × ".join(size) + " voxels"),
        Fact("stored orientation", ", ".join(f"{name} ({n} cases)" for name, n in orientations.most_common())),
        *(Fact(pair, text, _APART) for pair, text in sequences_apart(fingerprint).items()),
    ]
    for name in fingerprint.labels.foreground:
        of_class = [case.classes[name] for case in cases if name in case.classes]
        volumes = [c.volume_mm3 / 1000 for c in of_class if c.volume_mm3 > 0]
        unknown = sum(not case.is_known(name) for case in cases)
        if volumes:
            pieces = sum(len(c.components_mm3) for c in of_class)
            text = f"in {len(volumes)} cases, {_range(volumes, 2)} ml, {pieces} connected pieces"
            text += f"; not annotated in {unknown} cases" if unknown else ""
            facts.append(Fact(f"{name}", text))
    return facts


def _fold_facts(run: RunFolder, configuration: str, fold: int, split: Split) -> FoldFacts:
    finished = read_finished(run, configuration, fold)
    if finished is None:
        return FoldFacts(fold, len(split.train), len(split.val), "not finished", "", "", ())
    augmented = "augmented on the device" if finished.augment_on == "device" else None
    torch = f"torch {finished.torch_version}"
    return FoldFacts(
        fold=fold,
        train=len(split.train),
        validation=len(split.val),
        steps=str(finished.steps),
        time=format_duration(finished.seconds_training),
        device=", ".join(filter(None, (finished.device, finished.precision, augmented, torch))),
        events=tuple(event.reason for event in finished.events),
    )


def _dice(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.3f}"


def _range(values: Sequence[float], digits: int) -> str:
    """Text of the median, with the range in brackets where the values differ."""
    low, middle, high = (f"{v:.{digits}f}" for v in (min(values), median(values), max(values)))
    return middle if low == high else f"{middle} ({low}–{high})"
