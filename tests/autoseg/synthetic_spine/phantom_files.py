"""Reading the files of a phantom without the code that made them."""

import csv
from pathlib import Path

import numpy as np
import SimpleITK as sitk

SEQUENCES = ("T1", "T2", "STIR")


def table(folder: Path) -> list[dict[str, str]]:
    """The rows of its table."""
    with (folder / "cases.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read(path: Path) -> np.ndarray:
    """The voxels (z, y, x) of an image."""
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
