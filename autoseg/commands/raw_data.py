"""Reads, checks and measures a raw data set; writes `dataset.json` and `fingerprint.json` into the RUN folder."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from autoseg.commands.guards import refuse_if_trained, trained_folds
from autoseg.dataset.case import Dataset
from autoseg.dataset.fingerprint import Fingerprint, has_boxes, read_fingerprint, same_properties, write_fingerprint
from autoseg.dataset.record import DatasetRecord, changed_by_times, changed_cases, record_of
from autoseg.dataset.sequences_apart import far_apart
from autoseg.errors import ImageError, InputError
from autoseg.image.flat.resolution import PixelSpacing
from autoseg.image.geometry import Shape
from autoseg.machine.cores import available_cores
from autoseg.machine.map_cases import workers_within_memory
from autoseg.names import listed
from autoseg.plan.plan import Plan, read_plan
from autoseg.run_folder.dataset_record import read_record, write_record
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.time_spent import timed
from autoseg.run_folder.timed_stage import Stage

if TYPE_CHECKING:
    from pandas import DataFrame

# memory of a worker process, for the interpreter and its libraries, before it reads a case
_PROCESS_BYTES = 300_000_000


@dataclass(frozen=True)
class Read:
    """A data set that passed the check.

    Args:
        dataset: the raw data set, with its files and cases as they lie on the disk.
        record: content of its `dataset.json`.
        changed: names of the cases that are new or changed since the RUN folder last recorded them.
        shapes: shape (z, y, x) of every case in voxels; empty where the data set is unchanged and was not checked.
    """

    dataset: Dataset
    record: DatasetRecord
    changed: tuple[str, ...]
    shapes: tuple[Shape, ...]


def read_and_check(
    path: Path | DataFrame,
    run: RunFolder,
    *,
    ct: Sequence[str] | None = None,
    pixel_spacing: PixelSpacing | None = None,
    workers: int | None,
    trust_times: bool,
    console: Console,
) -> Read:
    """Read a raw data set; check every case and print a summary, unless nothing has changed. Writes nothing.

    Args:
        path: folder or `cases.csv` of the data set, or its table.
        run: RUN folder that may hold the record of an earlier reading.
        ct: names of the channels that are CT, or `none`; None = as recorded, else by names and values.
        pixel_spacing: spacing (y, x) in mm of pictures; None = as recorded, else as the files state, else 1 mm.
        workers: number of cases that are checked at once; None = as many as cores and memory allow.
        trust_times: do not read files again whose size and time are as they were.
        console: console for the summary.

    Raises:
        DatasetError: the data set has problems; the message lists all of them.
        InputError: `ct` names no channel, or a spacing is given for images that are no pictures.
    """
    from autoseg.dataset.check import check_dataset
    from autoseg.dataset.ct_channels import decide, notes
    from autoseg.dataset.pictures import sized
    from autoseg.dataset.summary import print_summary
    from autoseg.image.flat.read import ASSUMED

    seen = read_record(run) if run.dataset.exists() else None
    dataset = _as_seen(path, seen, ct, pixel_spacing)
    record = record_of(dataset, seen, trust_times=trust_times, workers=workers or available_cores())
    changed = tuple(case.name for case in record.cases) if seen is None else changed_cases(seen, record)
    if not changed:
        console.print(f"Data set {dataset.name}: {len(dataset.cases)} cases, unchanged since they were checked.")
        return Read(dataset, record, (), ())
    check = check_dataset(dataset, workers=workers or default_workers(dataset))
    sources = {case.sized_by for case in check.cases}
    if pixel_spacing is not None and "" in sources:
        raise InputError(
            "--spacing: is for PNG, TIFF, JPEG and BMP alone, and these images state their own spacing; leave it out"
        )
    if sources == {""}:
        # pictures were replaced by images with a place in a patient
        dataset, record = sized(dataset, None), record.changed(pixel_spacing=None)
    if sources == {"assumed"}:
        # whatever a new image states, its pixels are then taken as these are
        dataset = sized(dataset, ASSUMED)
        record = record.changed(pixel_spacing=ASSUMED)
    channels = dataset.channels
    present, alike = [case.present for case in check.cases], [case.like_ct for case in check.cases]
    if ct is None and (seen is None or seen.channels != dataset.channels):
        dataset = replace(dataset, ct=decide(channels, present, alike))
        record = record.changed(ct=dataset.ct)
    told = notes(channels, dataset.ct, present, alike, [case.reaches_air for case in check.cases])
    print_summary(dataset, replace(check, warnings=(*check.warnings, *told)), console)
    return Read(dataset, record, changed, tuple(case.geometry.shape for case in check.cases))


def changed_since_planned(
    path: Path, run: RunFolder, *, ct: Sequence[str] | None, pixel_spacing: PixelSpacing | None
) -> tuple[str, ...]:
    """Names of the cases that are not as the RUN folder has recorded them, by paths, sizes and times of their files.

    No image is read, so that this can be asked where nothing is computed. Arguments as in `read_and_check`.

    Returns:
        All cases where channels or labels are others; nothing where nothing is recorded yet.
    """
    if not run.dataset.exists():
        return ()
    seen = read_record(run)
    return changed_by_times(seen, _as_seen(path, seen, ct, pixel_spacing))


def _as_seen(
    path: Path | DataFrame, seen: DatasetRecord | None, ct: Sequence[str] | None, pixel_spacing: PixelSpacing | None
) -> Dataset:
    """Read the names of a data set, with what the person says, or what was found when it was first read."""
    from autoseg.dataset.ct_channels import asked_for
    from autoseg.dataset.pictures import sized
    from autoseg.dataset.read import read_dataset

    dataset = read_dataset(path)
    if ct is not None:
        dataset = replace(dataset, ct=asked_for(dataset.channels, ct))
    elif seen is not None and seen.channels == dataset.channels:
        # what was said or seen when the data set was first read
        dataset = replace(dataset, ct=seen.ct)
    return sized(dataset, pixel_spacing or (None if seen is None else seen.pixel_spacing))


def read_as_recorded(path: Path, run: RunFolder) -> tuple[Dataset, DatasetRecord]:
    """Read a raw data set that the RUN folder has recorded, with what was found out when it was checked.

    Args:
        path: folder or `cases.csv` of the data set.
        run: RUN folder with its record.
    """
    from autoseg.dataset.pictures import sized
    from autoseg.dataset.read import read_dataset

    record = read_record(run)
    return sized(replace(read_dataset(path), ct=record.ct), record.pixel_spacing), record


def pixel_size(spacing: Sequence[float] | float | None) -> PixelSpacing | None:
    """Return the spacing (y, x) that --spacing gives.

    Raises:
        InputError: it is not one number or two.
    """
    if spacing is None:
        return None
    numbers = tuple(float(number) for number in ((spacing,) if isinstance(spacing, float | int) else spacing))
    if len(numbers) not in (1, 2):
        raise InputError(f"--spacing: has {len(numbers)} numbers; give one, or height and width of a pixel in mm")
    return numbers[0], numbers[-1]


def default_workers(dataset: Dataset) -> int:
    """Number of worker processes that the cores and, with the largest case in each, the free memory allow."""
    from autoseg.image.image import read_geometry

    voxels = 0
    for case in dataset.cases:
        for image in case.images[:1] if case.several_channels_in_one_file else case.images:
            # the check reports files that cannot be read
            with suppress(ImageError):
                voxels = max(voxels, math.prod(read_geometry(image)[0].shape) if image is not None else 0)
    # bytes per voxel: every channel in float32 twice, the label in float64, and masks of the label
    per_voxel = 8 * len(dataset.channels) + 16
    return workers_within_memory(_PROCESS_BYTES + per_voxel * voxels)


def keep_fingerprint(run: RunFolder, read: Read, *, workers: int, console: Console) -> Fingerprint:
    """Return the fingerprint of the data set, measured anew only if the data set has changed.

    One of an earlier release is measured anew too, where nothing is trained, since it tells less.

    Writes `fingerprint.json` and `dataset.json`. If the fingerprint differs from the former one, a plan without
    edits is removed, so that a new one is made.

    Raises:
        RunFolderError: the fingerprint has changed, or onto what cases are aligned, and models are already trained.
    """
    from planner.fingerprint import measure_fingerprint

    _refuse_other_drawn_on(run, read.record)
    before = read_fingerprint(run.fingerprint) if run.fingerprint.exists() else None
    if before is not None and not read.changed and (has_boxes(before) or trained_folds(run)):
        # the description or the location of the files may have changed
        write_record(run, read.record)
        return before
    with timed(run, Stage("fingerprint")):
        now = measure_fingerprint(read.dataset, workers=workers)
    for sentence in far_apart(now):
        console.print(sentence, style="yellow", soft_wrap=True)
    if before is not None and not same_properties(before, now):
        refuse_if_trained(run, "the data set has changed, and another data set needs another plan")
        _drop_plan_of_others(run, console)
    write_fingerprint(run.fingerprint, now)
    # written last: after an interruption before this line, a restart still finds the data set changed
    write_record(run, read.record)
    return now


def _refuse_other_drawn_on(run: RunFolder, record: DatasetRecord) -> None:
    """Refuse a data set whose column `drawn_on` now has cases aligned in another way than those of trained models."""
    if not (run.dataset.exists() and run.plan.exists() and trained_folds(run)):
        return
    onto = read_plan(run.plan).align
    if onto is None:
        # sequences are taken as they lie, whatever the column says
        return
    before = {case.name: case.drawn_on or onto for case in read_record(run).cases}
    now = {case.name: case.drawn_on or onto for case in record.cases}
    if changed := [name for name, sequence in now.items() if before.get(name, sequence) != sequence]:
        why = f"drawn_on has changed for {listed(changed)}: their sequences would be aligned onto another one (undo it)"
        refuse_if_trained(run, why)


def _drop_plan_of_others(run: RunFolder, console: Console) -> None:
    """Remove the plan of the former data set; keep it, with a message, if a person edited it."""
    if not run.plan.exists():
        return
    if is_edited(run, read_plan(run.plan)):
        console.print(
            "The data set has changed since plan.yaml was made, and your edits of it are kept: so are spacing and "
            "intensities of the former cases. --replan plans for the present ones.",
            style="yellow",
        )
        return
    run.plan.unlink()
    # the time went into models that no longer exist: the new plan gets the whole time budget
    run.time_spent.unlink(missing_ok=True)


def is_edited(run: RunFolder, plan: Plan) -> bool:
    """Whether a person has changed the plan since autoseg wrote it."""
    return not run.planned.exists() or read_plan(run.planned) != plan


def require_room(run: RunFolder, plan: Plan, configurations: Sequence[str], cases: int) -> None:
    """Refuse to preprocess if the disk has too little free space; existing preprocessed files count as done.

    Raises:
        InputError: the free space is too small; the message names free and needed space.
    """
    from autoseg.dataset.disk_space import estimate_bytes, require_disk_space

    needed = 0
    for name in configurations:
        z, y, x = (max(1, round(n)) for n in plan.configuration(name).median_shape)
        needed += estimate_bytes([(z, y, x)] * cases, len(plan.channels))
    done = sum(_bytes_in(run.preprocessed(name)) for name in configurations)
    require_disk_space(run.path, max(0, needed - done))


def _bytes_in(folder: Path) -> int:
    """Size of all files in a folder, in which other processes may make and remove some meanwhile."""
    size = 0
    for where, _, files in os.walk(folder):
        for name in files:
            with suppress(FileNotFoundError):
                size += Path(where, name).stat().st_size
    return size
