"""Displaces a sequence of synthetic spines by known movements, and says what `--align` leaves of them.

It also says how exactly planning measures them, without moving anything.

    python -m benchmarks.align DATASET [--cases 8] [--sizes 0 2 5 10]

In each case T2 is moved by so many mm in a random direction, and turned by so many degrees about a random axis. The
distance is the mean over eight points between the centre and the corners of the image. The phantom's patients move a
little between sequences by themselves, which is found as well: so much cannot be told from what is left.
"""

from __future__ import annotations

import argparse
import math
import time
from itertools import product
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from rich.table import Table

from autoseg.dataset.read import read_dataset
from autoseg.image.geometry import Geometry, Spacing
from autoseg.image.image import read_image
from autoseg.preprocessing.align import Movement, align
from autoseg.preprocessing.edge_refinement import matrix_of
from autoseg.preprocessing.sequence_movement import movements
from autoseg.terminal import open_console

SEED = 0
OF_THE_CORNERS = 0.7
"""How far the points lie from the centre, as a share of half of each edge."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, help="data set with the sequences T1 and T2")
    parser.add_argument("--cases", type=int, default=8)
    parser.add_argument("--sizes", type=float, nargs="+", default=[0, 2, 5, 10], help="mm and degrees")
    given = parser.parse_args()
    dataset = read_dataset(given.dataset)
    first, second = dataset.channels.index("T1"), dataset.channels.index("T2")
    pairs = [(case.images[first], case.images[second]) for case in dataset.cases]
    whole = [(a, b) for a, b in pairs if a is not None and b is not None][: given.cases]
    rng = np.random.default_rng(SEED)
    shown = Table("mm and degrees", "before, median mm", "after, median mm", "after, largest mm", "kept", "s a pair")
    measured = Table("mm and degrees", "measured in", "off by, median mm", "degrees, median", "processor s a pair")
    for size in given.sizes:
        rows = [measure(a, b, size, rng) for a, b in whole]
        before, after, taken = (np.array([row[i] for row in rows]) for i in range(3))
        kept = sum(row[3].is_kept for row in rows)
        shown.add_row(
            f"{size:g}",
            f"{np.median(before):.2f}",
            f"{np.median(after):.2f}",
            f"{after.max():.2f}",
            f"{kept} of {len(rows)}",
            f"{np.median(taken):.1f}",
        )
        told = [row for row in (measure_alone(a, b, size, rng) for a, b in whole) if row is not None]
        off, degrees, seconds = (np.median([row[i] for row in told]) for i in range(3))
        measured.add_row(f"{size:g}", f"{len(told)} of {len(whole)}", f"{off:.2f}", f"{degrees:.1f}", f"{seconds:.2f}")
    open_console().print(shown)
    open_console().print(measured)


def measure(fixed: Path, moving: Path, size: float, rng: np.random.Generator) -> tuple[float, float, float, Movement]:
    """Displacement in mm before and after, seconds, and the movement that was found."""
    reference, other = read_image(fixed), read_image(moving)
    spacing = reference.geometry.spacing
    true = movement_of(size, rng)
    started = time.perf_counter()
    _, found = align(reference.array[0], displaced(other.array[0], spacing, true), spacing)
    seconds = time.perf_counter() - started
    assert found is not None
    before = left(true, reference.geometry, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    after = left(true, reference.geometry, found.mm, found.degrees)
    return before, after if found.is_kept else before, seconds, found


def measure_alone(
    fixed: Path, moving: Path, size: float, rng: np.random.Generator
) -> tuple[float, float, float] | None:
    """How many mm the measured movement is off, its angle in degrees, and seconds; None where it cannot be measured."""
    reference, other = read_image(fixed), read_image(moving)
    spacing = reference.geometry.spacing
    true = movement_of(size, rng)
    moved = displaced(other.array[0], spacing, true)
    started = time.process_time()
    (found,) = movements(reference.array[0], [moved], spacing)
    seconds = time.process_time() - started
    if found is None or found.degrees is None:
        return None
    return left(true, reference.geometry, found.mm, found.degrees), math.hypot(*found.degrees), seconds


def left(true: sitk.Euler3DTransform, grid: Geometry, mm: Spacing, degrees: Spacing) -> float:
    """Mean distance in mm that is left of a movement where another one (z, y, x) is taken for it."""
    turn, shift = matrix_of(degrees), np.array(mm)[::-1]
    extent = 0.5 * OF_THE_CORNERS * np.array(grid.shape[::-1]) * grid.spacing[::-1]
    points = [np.array(signs) * extent for signs in product((-1, 1), repeat=3)]
    there = [distance(true.TransformPoint((turn @ point + shift).tolist()), point) for point in points]
    return float(np.mean(there))


def movement_of(size: float, rng: np.random.Generator) -> sitk.Euler3DTransform:
    """A movement by so many mm and degrees, in random directions (x, y, z)."""
    shift, axis = (vector / np.linalg.norm(vector) for vector in rng.normal(size=(2, 3)))
    movement = sitk.Euler3DTransform()
    movement.SetTranslation((size * shift).tolist())
    movement.SetRotation(*(math.radians(size) * axis).tolist())
    return movement


def displaced(array: NDArray[np.float32], spacing: Spacing, movement: sitk.Transform) -> NDArray[np.float32]:
    """The image (z, y, x) moved about its centre."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing[::-1])
    image.SetOrigin([-0.5 * (n - 1) * s for n, s in zip(array.shape[::-1], spacing[::-1], strict=True)])
    return sitk.GetArrayFromImage(sitk.Resample(image, image, movement, sitk.sitkLinear, 0.0))


def distance(a: tuple[float, ...], b: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(np.asarray(a) - b))


if __name__ == "__main__":
    main()
