"""Preprocess a data set for one configuration, in parallel.

In: the cases of a data set and the plan. Out: a folder for each case in the RUN folder. The folder of a case appears
whole or not at all, and records what decided its content (`decided_by.json`). So an interrupted run continues where it
stopped. After the plan or a source file is edited, only the cases that depend on it are preprocessed again.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import ValidationError
from rich.console import Console
from threadpoolctl import threadpool_limits

from autoseg.dataset.case import Case, Dataset
from autoseg.dataset.disk_space import is_small
from autoseg.dataset.load import LoadedCase, load_case
from autoseg.dataset.record import CaseSource, DatasetRecord, FileRecord, are_as, record_of
from autoseg.disk.staging import staged_in
from autoseg.errors import DatasetError
from autoseg.files import FileModel, discard, folder_replaced_when_done, read_utf8, write_text
from autoseg.image.annotated_classes import EVERY, AnnotatedClasses
from autoseg.image.geometry import Geometry, overlap, to_canonical
from autoseg.image.image import Image, read_geometry, write_image
from autoseg.image.labels import Labels
from autoseg.image.resampled_size import in_mm, why_impossible
from autoseg.machine.map_cases import workers_within_memory
from autoseg.memory import total_memory
from autoseg.names import PlainName
from autoseg.plan.plan import Channel, Plan
from autoseg.plan.region import Region
from autoseg.preprocessing.align import BYTES_PER_VOXEL, aligned_as_planned
from autoseg.preprocessing.annotated_share import annotated_share, note_on_lost
from autoseg.preprocessing.crop import labelled_box
from autoseg.preprocessing.foreground import sample_foreground
from autoseg.preprocessing.prepare import prepare_case
from autoseg.preprocessing.resample import new_shape_for
from autoseg.run_folder.lock import locked
from autoseg.run_folder.lock_holder import ENDING
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.preprocessed_case import read_record, write_case
from autoseg.terminal import open_console
from planner.claims import do_each
from planner.earlier_place import why_elsewhere

MARKER = "decided_by.json"
OUTSIDE = (
    "has foreground outside the part of the image that is trained on; nothing is learned or found there. Widen "
    "`region` in plan.yaml, or set it to null for whole images"
)
# memory of a process with its imported libraries, before it reads anything
INTERPRETER_BYTES = 400 * 2**20


class DecidedBy(FileModel):
    """Everything that decides the content of a preprocessed case; stored in its folder as `decided_by.json`.

    Args:
        case: name of the case in the data set.
        present: for each channel whether the case has it.
        several_channels_in_one_file: whether one file holds several channels.
        sources: records of the files of the present channels, then of the label.
        orientation: orientation of the preprocessed arrays.
        channels: channels of the plan, without the settings that their normalisation does not use.
        labels: the classes of the data set.
        spacing: target spacing in mm (z, y, x); None along an axis that is not resampled.
        seed: seed of the plan, by which foreground voxels are sampled.
        region: region of the plan; None = whole images.
        align: sequence of the plan onto which the others were moved; None = as they lie.
        drawn_on: sequence of the case that took its place, since the label was drawn on it; None = none did.
        pixel_spacing: spacing (y, x) in mm with which pictures were read; None = as their files state.
        annotated: classes that were looked for in the label map.
    """

    schema_version: Literal[1] = 1
    case: PlainName
    present: tuple[bool, ...]
    several_channels_in_one_file: bool
    sources: tuple[FileRecord, ...]
    orientation: str
    channels: tuple[dict[str, object], ...]
    labels: Labels
    spacing: tuple[float | None, float | None, float | None]
    seed: int
    region: Region | None = None
    align: str | None = None
    drawn_on: str | None = None
    pixel_spacing: tuple[float, float] | None = None
    annotated: AnnotatedClasses = EVERY

    def is_as(self, other: DecidedBy) -> bool:
        """Whether another record decides the same content: equal settings, and files of the same content."""
        return self.changed(sources=()) == other.changed(sources=()) and are_as(self.sources, other.sources)


@dataclass(frozen=True)
class Task:
    """A case that is preprocessed.

    Args:
        case: the case, with its files.
        plan: plan in the RUN folder.
        configuration: name of the configuration.
        folder: folder of the preprocessed case.
        sources: records of the case's files.
        staging: folder in which its files are staged, inside the lock of the process that does it; None = not claimed.
    """

    case: Case
    plan: Plan
    configuration: str
    folder: Path
    sources: tuple[FileRecord, ...]
    staging: Path | None = None

    def do_in(self, staging: Path) -> tuple[str, ...]:
        """Preprocess the case with its files staged in a folder, and return the warnings that reading it gave."""
        return preprocess_case(replace(self, staging=staging))

    def is_done(self, console: Console) -> bool:
        """Whether the folder of the case matches the plan and the source files as they now are.

        Where only the place of its files is another one than an earlier release took, this is told.
        """
        made_by, now = _made_by(self.folder), _decided_by(self)
        if made_by is None or not made_by.is_as(now):
            return False
        if why := why_elsewhere(self.case, read_record(self.folder)):
            console.print(f"Warning: {why}")
            return False
        if made_by != now:
            # its files were moved or only touched, or an earlier release wrote no hashes
            write_text(self.folder / MARKER, now.model_dump_json(indent=1))
        return True


def preprocess_dataset(
    dataset: Dataset,
    plan: Plan,
    configuration: str,
    run: RunFolder,
    *,
    workers: int,
    record: DatasetRecord | None = None,
    console: Console | None = None,
) -> None:
    """Preprocess every case whose folder does not yet match the plan and the source files.

    Folders of cases that the data set no longer holds are removed. Cases that parts of other processes are at are
    waited for.

    Args:
        dataset: data set that was checked before.
        plan: plan in the RUN folder, with the edits of a person.
        configuration: name of the configuration. Configurations that share preprocessed cases share one folder.
        run: RUN folder into which the preprocessed cases are written.
        workers: maximum number of cases preprocessed at once; fewer are used where memory is short.
        record: record of the data set's files as they are now; None = it is made here.
        console: console for warnings about cases; None = standard error.

    Raises:
        DatasetError: a case cannot be read or has no label.
        PlanError: there is no such configuration.
        RunFolderError: another process is preprocessing in the same folder.
        WorkerDied: a case could not be processed, probably because memory was short.
    """
    folder = run.preprocessed(plan.preprocessed_as(configuration))
    with locked(folder, "preprocessing"):
        _remove_other_cases({case.name for case in dataset.cases}, folder)
        record = record or record_of(dataset, workers=workers)
        console = console or open_console(stderr=True)
        tasks = [task for task in tasks_of(dataset, plan, configuration, run, record) if not task.is_done(console)]
        if not tasks:
            return
        warnings = do_each(
            tasks,
            workers_for(tasks, at_most=workers),
            f"Preprocessing {configuration}",
            small=is_small(task.case for task in tasks),
            waits=True,
        )
    for warning in warnings:
        console.print(f"Warning: {warning}")


def tasks_of(dataset: Dataset, plan: Plan, configuration: str, run: RunFolder, record: DatasetRecord) -> list[Task]:
    """A task for each case of a data set, in its order; arguments as in `preprocess_dataset`."""
    source = plan.preprocessed_as(configuration)
    sources = {case.name: case.files for case in record.cases}
    return [
        Task(
            case,
            plan,
            configuration,
            run.case(source, case.name),
            tuple(file for file in sources[case.name] if file is not None),
        )
        for case in dataset.cases
    ]


def workers_for(tasks: Sequence[Task], at_most: int, grids: Mapping[str, Geometry] | None = None) -> int:
    """Number of cases that the memory holds at once; each of them must be possible.

    Args:
        tasks: cases that are preprocessed.
        at_most: largest number.
        grids: grids of cases, as from `grid_of`, by their names; the headers of the other cases are read.

    Raises:
        DatasetError: a case would be absurdly large or small, or larger than this machine's memory.
    """
    known = grids or {}
    largest = max(
        _bytes_of_possible(task, known.get(task.case.name) or grid_of(task.case, task.plan)) for task in tasks
    )
    return workers_within_memory(largest, at_most=at_most)


def preprocess_case(task: Task) -> tuple[str, ...]:
    """Preprocess one case, and return the warnings that reading it gave."""
    case, plan = task.case, task.plan
    decided_by = _decided_by(task)
    if case.label is None:
        raise DatasetError([f"{case.name}: has no label and cannot be trained on"])
    loaded = aligned_as_planned(load_case(case, plan.labels, plan.orientation), plan, case)
    assert loaded.label is not None
    warnings, labelled = loaded.warnings, labelled_box(plan.labels.any_foreground(loaded.label))
    annotated = annotated_share(loaded.label, plan.labels)
    with staged_in(task.staging), folder_replaced_when_done(task.folder) as folder:
        write_image(folder / "reference.nii.gz", _reference(loaded, plan.labels))
        # the list gives up the only reference, so that the original voxels are freed once they are normalised
        passed = [loaded]
        del loaded
        # one thread for each case: the bits are the same with any number of workers
        with threadpool_limits(limits=1):
            prepared = prepare_case(passed.pop(), plan, plan.configuration(task.configuration), case.name)
        assert prepared.label is not None
        if plan.region and labelled and overlap(labelled, prepared.record.crop) != labelled:
            warnings += (f"{case.name}: {OUTSIDE}",)
        left = annotated_share(prepared.label, plan.labels)
        warnings += note_on_lost(case.name, annotated, left, prepared.record.spacing)
        rng = np.random.default_rng([plan.seed, zlib.crc32(case.name.encode())])
        foreground = sample_foreground(prepared.label, rng, plan.labels)
        record = prepared.record.changed(annotated=case.annotated)
        write_case(folder, record, prepared.image, prepared.label, foreground)
        (folder / MARKER).write_text(decided_by.model_dump_json(indent=1), encoding="utf-8")
    return warnings


def _reference(loaded: LoadedCase, labels: Labels) -> Image:
    """The label map in the data set's values, (1, z, y, x), at the stored geometry."""
    assert loaded.label is not None
    values = labels.to_values(loaded.reorientation.undo(loaded.label))
    return Image(values[None], loaded.stored, nifti=loaded.nifti)


def follows_plan(folder: Path, plan: Plan, configuration: str, source: CaseSource | None = None) -> bool:
    """Whether a preprocessed case matches the plan as it now is; source files are not needed.

    Args:
        folder: folder of the preprocessed case.
        plan: plan in the RUN folder.
        configuration: name of the configuration in the plan, such as `3d`.
        source: record of the case's files that it must match too; None = it is not looked at.
    """
    return all_follow_plan([folder], plan, configuration, {} if source is None else {folder.name: source})


def all_follow_plan(
    folders: Sequence[Path], plan: Plan, configuration: str, sources: Mapping[str, CaseSource] | None = None
) -> bool:
    """As `follows_plan`, of several cases, whose folders have their names; it ends at the first that does not."""
    decided, known = _plan_part(plan, configuration), sources or {}

    def follows(folder: Path) -> bool:
        made_by, source = _made_by(folder), known.get(folder.name)
        if made_by is None or not (source is None or _is_made_from(made_by, source, plan)):
            return False
        return all(getattr(made_by, field) == value for field, value in decided.items())

    return all(map(follows, folders))


def _is_made_from(made_by: DecidedBy, source: CaseSource, plan: Plan) -> bool:
    """Whether a case was made from files of the content that its record in the RUN folder now names."""
    present = tuple(image is not None for image in source.images)
    drawn_on = None if plan.align is None else source.drawn_on
    facts = (made_by.present, made_by.drawn_on, made_by.annotated)
    files = [file for file in source.files if file is not None]
    return facts == (present, drawn_on, source.annotated) and are_as(made_by.sources, files)


def _made_by(folder: Path) -> DecidedBy | None:
    """The record of what decided the content of a case's folder; None where it is missing or malformed."""
    try:
        return DecidedBy.model_validate_json(read_utf8(folder / MARKER))
    except (FileNotFoundError, ValidationError):
        return None


def _decided_by(task: Task) -> DecidedBy:
    case, plan = task.case, task.plan
    return DecidedBy(
        case=case.name,
        present=case.present,
        several_channels_in_one_file=case.several_channels_in_one_file,
        sources=task.sources,
        drawn_on=None if plan.align is None else case.drawn_on,
        pixel_spacing=case.pixel_spacing,
        annotated=case.annotated,
        **_plan_part(plan, task.configuration),
    )


def _plan_part(plan: Plan, configuration: str) -> dict[str, Any]:
    """The fields of `DecidedBy` that follow from the plan."""
    return {
        "orientation": plan.orientation,
        "channels": tuple(_deciding_fields(channel) for channel in plan.channels),
        "labels": plan.labels,
        "spacing": plan.configuration(configuration).spacing,
        "seed": plan.seed,
        "region": plan.region,
        "align": plan.align,
    }


def _deciding_fields(channel: Channel) -> dict[str, object]:
    unused = {"ct": {"inside_nonzero_mask"}, "z_score": {"foreground"}}.get(
        channel.normalization, {"foreground", "inside_nonzero_mask"}
    )
    return channel.model_dump(mode="json", exclude=unused)


def _bytes_of_possible(task: Task, geometry: Geometry) -> int:
    """Peak memory for a case of a grid in bytes, which must be possible at the plan's spacing.

    Raises:
        DatasetError: the case would be absurdly large or small there, or larger than this machine's memory.
    """
    case, plan, planned = task.case, task.plan, task.plan.configuration(task.configuration)
    target = planned.target_spacing(geometry.spacing)
    if reason := why_impossible(geometry, target, math.prod(planned.median_shape)):
        raise DatasetError([f"{case.name}: {reason}, or leave the case out"])
    needed, there = bytes_needed(geometry, plan, task.configuration), total_memory()
    if needed > there:
        raise DatasetError(
            [
                f"{case.name}: to preprocess it at {in_mm(target)} takes {needed / 1e9:.0f} GB of memory, and this "
                f"machine has {there / 1e9:.0f} GB; crop the case, leave it out, plan a coarser spacing in plan.yaml, "
                "or preprocess on a larger machine"
            ]
        )
    return needed


def grid_of(case: Case, plan: Plan) -> Geometry:
    """Grid of a case's first present channel, its axes (z, y, x) in the plan's orientation; the header is read."""
    stored, _ = read_geometry(next(image for image in case.images if image is not None), case.pixel_spacing)
    return to_canonical(stored).apply_to_geometry(stored) if plan.orientation == "canonical" else stored


def bytes_needed(geometry: Geometry, plan: Plan, configuration: str) -> int:
    """Upper bound of a process's peak memory for a case, in bytes; `benchmarks/memory_preprocess.py` measures it.

    The peak is either in reading and cropping (the image, one channel in the file's dtype, and the connected
    components of its holes) or in resampling (the image before and after).

    Args:
        geometry: grid of the case, its axes in the plan's orientation.
        plan: plan that gives the channels.
        configuration: name of the configuration whose spacing the case is resampled to.
    """
    target = plan.configuration(configuration).target_spacing(geometry.spacing)
    before = float(np.prod(geometry.shape))
    after = float(np.prod(new_shape_for(geometry.shape, geometry.spacing, target)))
    channels = len(plan.channels)
    # where sequences are aligned, a copy of all of them is beside the case
    aligning = 0 if plan.align is None else 4 * channels + BYTES_PER_VOXEL
    reading = before * (4 * channels + 12 + aligning)
    resampling = before * (4 * channels + 1) + after * (4 * channels + 3)
    return int(INTERPRETER_BYTES + max(reading, resampling))


def remove_other_cases(cases: Collection[str], folder: Path) -> None:
    """Remove unfinished folders of killed processes, and folders of cases that are no longer in the data set.

    Args:
        cases: names of the cases of the data set as it now is.
        folder: folder of the preprocessed cases.

    Raises:
        LockedByAnother: another process preprocesses a whole data set there; it does the same at its begin.
    """
    if folder.is_dir():
        with locked(folder, "preprocessing"):
            _remove_other_cases(cases, folder)


def _remove_other_cases(cases: Collection[str], folder: Path) -> None:
    """As `remove_other_cases`, under the lock of the folder; locks of single cases stay."""
    for path in list(folder.iterdir()) if folder.is_dir() else []:
        if path.is_dir() and path.name not in cases and not path.name.endswith(ENDING):
            # what a process leaves that gives up the lock of a case, it removes itself
            with suppress(FileNotFoundError):
                discard(path)
