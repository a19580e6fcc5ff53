"""From a raw data set to `dataset.json` and `fingerprint.json`: read, check whole, show, measure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from autoseg.commands.options import refuse_if_trained
from autoseg.dataset.case import Dataset
from autoseg.dataset.fingerprint import Fingerprint, read_fingerprint, write_fingerprint
from autoseg.dataset.record import DatasetRecord, changed_cases, record_of
from autoseg.errors import ImageError
from autoseg.image.geometry import Shape
from autoseg.machine.map_cases import workers_within_memory
from autoseg.plan.plan import Plan, read_plan
from autoseg.run_folder.dataset_record import read_record, write_record
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.time_spent import timed

# what the interpreter and the libraries of a worker take before the first case
_PROCESS_BYTES = 300_000_000


@dataclass(frozen=True)
class Read:
    """A data set that passed the check.

    Args:
        record: what `dataset.json` keeps of it.
        changed: names of the cases that the RUN folder has not seen as they are now.
        shapes: voxels (z, y, x) of every case, where they were checked now.
    """

    dataset: Dataset
    record: DatasetRecord
    changed: tuple[str, ...]
    shapes: tuple[Shape, ...]


def read_and_check(path: Path, run: RunFolder, *, workers: int | None, console: Console) -> Read:
    """Read a raw data set, check it whole unless the RUN folder has seen it so, and show it. Writes nothing.

    Raises:
        DatasetError: every problem found.
    """
    from autoseg.dataset.check import check_dataset
    from autoseg.dataset.read import read_dataset
    from autoseg.dataset.summary import print_summary

    dataset = read_dataset(path)
    record = record_of(dataset)
    seen = read_record(run) if run.dataset.exists() else None
    changed = tuple(case.name for case in record.cases) if seen is None else changed_cases(seen, record)
    if not changed:
        console.print(f"Data set {dataset.name}: {len(dataset.cases)} cases, unchanged since they were checked.")
        return Read(dataset, record, (), ())
    check = check_dataset(dataset, workers=workers or default_workers(dataset))
    print_summary(dataset, check, console)
    return Read(dataset, record, changed, tuple(case.geometry.shape for case in check.cases))


def default_workers(dataset: Dataset) -> int:
    """As many processes over cases as there are cores, and as free memory holds of the largest case."""
    from autoseg.image.image import read_geometry

    voxels = 0
    for case in dataset.cases:
        for image in case.images[:1] if case.several_channels_in_one_file else case.images:
            # what cannot be read is reported by the check
            with suppress(ImageError):
                voxels = max(voxels, math.prod(read_geometry(image)[0].shape) if image is not None else 0)
    # float32 channels twice, a label in float64, and masks of it
    per_voxel = 8 * len(dataset.channels) + 16
    return workers_within_memory(_PROCESS_BYTES + per_voxel * voxels)


def keep_fingerprint(run: RunFolder, read: Read, *, workers: int, console: Console) -> Fingerprint:
    """The data set's fingerprint, measured only where the data set has changed; writes `dataset.json` too.

    An unedited plan of another fingerprint is removed, so that planning follows.

    Raises:
        RunFolderError: models are trained, and the data set is not what they were trained on any more.
    """
    from planner.fingerprint import measure_fingerprint

    before = read_fingerprint(run.fingerprint) if run.fingerprint.exists() else None
    if before is not None and not read.changed:
        # its description may be another, or its files lie elsewhere
        write_record(run, read.record)
        return before
    with timed(run, "fingerprint"):
        now = measure_fingerprint(read.dataset, workers=workers)
    if before is not None and now != before:
        refuse_if_trained(run, "the data set has changed, and another data set needs another plan")
        _drop_plan_of_others(run, console)
    write_fingerprint(run.fingerprint, now)
    # last: as long as it is not written, a restart sees the data set as changed
    write_record(run, read.record)
    return now


def _drop_plan_of_others(run: RunFolder, console: Console) -> None:
    """Remove the plan of a data set that has changed since; a person's edits of it are kept, and that is told."""
    if not run.plan.exists():
        return
    if is_edited(run, read_plan(run.plan)):
        console.print(
            "The data set has changed since plan.yaml was made, and your edits of it are kept: so are spacing and "
            "intensities of the former cases. --replan plans for the present ones.",
            style="yellow",
            highlight=False,
        )
        return
    run.plan.unlink()
    # of models that are gone: the new plan has the whole budget
    run.time_spent.unlink(missing_ok=True)


def is_edited(run: RunFolder, plan: Plan) -> bool:
    """Whether a person has changed the plan since autoseg wrote it."""
    return not run.planned.exists() or read_plan(run.planned) != plan


def require_room(run: RunFolder, plan: Plan, configurations: Sequence[str], cases: int) -> None:
    """Refuse to preprocess what the disk cannot hold beside what is preprocessed already.

    Raises:
        InputError: there is less room; names both amounts.
    """
    from autoseg.dataset.disk import estimate_bytes, require_disk_space

    needed = 0
    for name in configurations:
        z, y, x = (max(1, round(n)) for n in plan.configuration(name).median_shape)
        needed += estimate_bytes([(z, y, x)] * cases, len(plan.channels))
    done = sum(
        file.stat().st_size for name in configurations for file in run.preprocessed(name).rglob("*") if file.is_file()
    )
    require_disk_space(run.path, max(0, needed - done))
