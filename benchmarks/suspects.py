"""Spoils labels on purpose and counts how many of them are among the first suspects.

    python -m benchmarks.suspects FOLDER --data DATA [--time-budget 20m] [--number 10] [--first 20]

In a copy of the data set so many lesions are left out of the annotation, and so many are added where none is: the shape
of another case's lesion at another place of the image, well inside of what is not zero. A run is trained on the copy. A
spoilt lesion counts as suspected if a suspect of its kind lies within its diameter.
"""

from __future__ import annotations

import argparse
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import cc3d
import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from rich.table import Table
from scipy.ndimage import binary_erosion

import autoseg
from autoseg.dataset.read import read_dataset
from autoseg.files import write_text
from autoseg.metrics.lesions import equivalent_diameter
from autoseg.run_folder.paths import RunFolder
from autoseg.terminal import open_console
from inference.suspects.find import NOT_ANNOTATED, NOT_SEEN
from inference.suspects.table import read_suspects

SEED, TRIES = 1234, 200
LEAST_ML = 0.2
"""Smaller lesions are not left out: nobody would find them again."""


@dataclass(frozen=True)
class Spoilt:
    """A spoilt annotation.

    Args:
        case: name of the case.
        kind: `not annotated` for a lesion that was left out, `not seen` for one that was added.
        diameter_mm: diameter of the ball of its volume.
        place_mm: its centre (x, y, z).
    """

    case: str
    kind: str
    diameter_mm: float
    place_mm: tuple[float, float, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where everything goes")
    parser.add_argument("--data", type=Path, required=True, help="data set of one lesion class")
    parser.add_argument("--time-budget", default="20m")
    parser.add_argument("--number", type=int, default=10, help="of lesions that are left out, and that are added")
    parser.add_argument("--first", type=int, default=20, help="suspects that are looked at")
    given = parser.parse_args()
    data, told = given.folder / given.data.name, given.folder / "spoilt.json"
    if not told.exists():
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(given.data, data)
        write_text(told, json.dumps([asdict(one) for one in spoil(data, given.number)], indent=1))
    spoilt = [Spoilt(**(one | {"place_mm": tuple(one["place_mm"])})) for one in json.loads(told.read_text())]
    run = RunFolder(given.folder / "run")
    autoseg.run(data, run.path, time_budget=given.time_budget)
    show(run, spoilt, given.first)


def spoil(data: Path, number: int) -> list[Spoilt]:
    """Spoil the label files of a copy of a data set, at most one of each kind a case; return what was done."""
    rng = np.random.default_rng(SEED)
    cases = [case for case in read_dataset(data).cases if case.label is not None]
    shapes = [shape for case in cases if case.label is not None for shape in lesions_of(read(case.label))]
    spoilt: list[Spoilt] = []
    for case in rng.permutation(np.array(cases, dtype=object)).tolist():
        label = sitk.ReadImage(str(case.label))
        array = sitk.GetArrayFromImage(label)
        done = []
        if sum(one.kind == NOT_ANNOTATED for one in spoilt) < number:
            done += leave_out(case.name, label, array, rng)
        if sum(one.kind == NOT_SEEN for one in spoilt) < number:
            image = sitk.GetArrayFromImage(sitk.ReadImage(str(next(path for path in case.images if path is not None))))
            done += add(case.name, label, array, image, shapes, rng)
        if done:
            changed = sitk.GetImageFromArray(array)
            changed.CopyInformation(label)
            sitk.WriteImage(changed, str(case.label), useCompression=True)
            spoilt += done
    return spoilt


def read(path: Path) -> NDArray:
    return np.asarray(sitk.GetArrayFromImage(sitk.ReadImage(str(path))))


def lesions_of(array: NDArray) -> list[NDArray[np.bool_]]:
    """Masks of the lesions of a label map (z, y, x), each cut to its box."""
    parts, count = cc3d.connected_components(np.ascontiguousarray(array > 0), connectivity=26, return_N=True)
    found = []
    for number in range(1, count + 1):
        where = np.argwhere(parts == number)
        lower, upper = where.min(axis=0), where.max(axis=0) + 1
        found.append(parts[tuple(slice(a, b) for a, b in zip(lower, upper, strict=True))] == number)
    return found


def leave_out(case: str, label: sitk.Image, array: NDArray, rng: np.random.Generator) -> list[Spoilt]:
    """Leave one lesion of at least `LEAST_ML` out of a label map, in place; nothing where the case has none."""
    parts, count = cc3d.connected_components(np.ascontiguousarray(array > 0), connectivity=26, return_N=True)
    voxel_ml = float(np.prod(label.GetSpacing())) / 1000
    large = [n for n in range(1, count + 1) if np.count_nonzero(parts == n) * voxel_ml >= LEAST_ML]
    if not large:
        return []
    mask = parts == rng.choice(large)
    array[mask] = 0
    return [spoilt_of(case, NOT_ANNOTATED, label, mask)]


def add(
    case: str,
    label: sitk.Image,
    array: NDArray,
    image: NDArray,
    shapes: list[NDArray[np.bool_]],
    rng: np.random.Generator,
) -> list[Spoilt]:
    """Add the shape of some lesion to a label map, in place, where the image is not zero and no lesion is near."""
    inside = binary_erosion(image > np.percentile(image, 30), iterations=2)
    places = np.argwhere(inside)
    for _ in range(TRIES):
        shape = shapes[rng.integers(len(shapes))]
        lower = places[rng.integers(len(places))] - np.array(shape.shape) // 2
        upper = lower + shape.shape
        around = tuple(slice(max(a - 3, 0), b + 3) for a, b in zip(lower, upper, strict=True))
        if (lower < 0).any() or (upper > array.shape).any() or array[around].any():
            continue
        box = tuple(slice(a, b) for a, b in zip(lower, upper, strict=True))
        if not inside[box][shape].all() or np.count_nonzero(shape) * np.prod(label.GetSpacing()) / 1000 < LEAST_ML:
            continue
        mask = np.zeros(array.shape, bool)
        mask[box] = shape
        array[mask] = 1
        return [spoilt_of(case, NOT_SEEN, label, mask)]
    return []


def spoilt_of(case: str, kind: str, label: sitk.Image, mask: NDArray[np.bool_]) -> Spoilt:
    where = np.argwhere(mask)
    middle = where.mean(axis=0)[::-1].tolist()
    volume_ml = len(where) * float(np.prod(label.GetSpacing())) / 1000
    x, y, z = label.TransformContinuousIndexToPhysicalPoint(middle)
    return Spoilt(case, kind, equivalent_diameter(volume_ml), (x, y, z))


def show(run: RunFolder, spoilt: list[Spoilt], first: int) -> None:
    suspects = read_suspects(run)
    shown = Table("kind", "spoilt", f"among the first {first}", "among all suspects", "suspects")
    for kind in (NOT_ANNOTATED, NOT_SEEN):
        of_kind = [one for one in spoilt if one.kind == kind]
        ranks = [rank_of(one, suspects) for one in of_kind]
        early = sum(rank is not None and rank <= first for rank in ranks)
        found = sum(rank is not None for rank in ranks)
        count = sum(line.suspected == kind for line in suspects)
        shown.add_row(kind, str(len(of_kind)), str(early), str(found), str(count))
    open_console().print(shown)


def rank_of(one: Spoilt, suspects: list) -> int | None:
    """Rank, from 1, of the suspect that a spoilt annotation is; None where it is not suspected."""
    for rank, line in enumerate(suspects, start=1):
        near = np.linalg.norm(np.subtract(line.place_mm, one.place_mm)) <= max(one.diameter_mm, 5.0)
        if line.case == one.case and line.suspected == one.kind and near:
            return rank
    return None


if __name__ == "__main__":
    main()
