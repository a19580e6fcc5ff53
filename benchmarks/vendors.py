"""Reads every DICOM series of folders of real exports, and compares voxels and places with pydicom's and dcm2niix's.

    python -m benchmarks.vendors FOLDER ... [--dcm2niix PROGRAM]

Public exports of scanners of several makers are those of dcm2niix's own tests (github.com/neurolabusc/dcm_qa_*). A
series is read, or refused with a reason; what was read must hold at the position of each frame the values that pydicom
decodes for it, and at the position of each voxel the value that dcm2niix wrote there (a wheel of the Python Package
Index: `pip install dcm2niix`).
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import nibabel
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.pixels import apply_modality_lut
from rich.table import Table

from autoseg.errors import AutosegError
from autoseg.image.dicom.tree import FoundSeries, read_tree
from autoseg.image.image import Image, read_image
from autoseg.terminal import open_console, progress_bar

NEAR_MM = 0.02
"""Positions in a DICOM file have a few digits, those in a NIfTI file single precision."""

COLUMNS = (
    "maker",
    "series",
    "read",
    "chosen",
    "refused",
    "as pydicom",
    "not so",
    "as dcm2niix",
    "differs",
    "not written",
)
"""`chosen`: of several volumes in one series that which the refusal named."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--dcm2niix", help="the program; without it pydicom alone is compared with")
    given = parser.parse_args()
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    console = open_console()
    for folder in given.folders:
        tree = read_tree(folder)
        with tempfile.TemporaryDirectory() as written, progress_bar(console) as bar:
            task = bar.add_task(folder.name, total=len(tree.series))
            images = Converted(folder, Path(written), given.dcm2niix) if given.dcm2niix else None
            for series in tree.series:
                maker = str(pydicom.dcmread(series.files[0], stop_before_pixels=True).get("Manufacturer", "unknown"))
                told, why = judge(series, images)
                counts[maker.split()[0].strip(",").upper()].update(told)
                if told & {"refused", "not so", "differs"}:
                    bar.console.print(f"{series}: {', '.join(sorted(told))}. {why}", soft_wrap=True)
                bar.advance(task)
    shown = Table(*COLUMNS)
    for maker, of_maker in sorted(counts.items()):
        shown.add_row(maker, *(str(of_maker[column]) for column in COLUMNS[1:]))
    console.print(shown)


def judge(series: FoundSeries, converted: Converted | None) -> tuple[set[str], str]:
    """What became of a series: the columns in which it counts, and why it was refused."""
    path, told, why = series.path_by_series, {"series", "read"}, ""
    try:
        image = read_image(path)
    except AutosegError as error:
        why = str(error)
        named = re.search(r"such as .+?: '(.+?)'", why)
        if named is None:
            return {"series", "refused"}, why
        told = {"series", "chosen"}
        image = read_image(Path(named[1]))
    told.add("as pydicom" if is_as_pydicom(image, series.files) else "not so")
    if converted is not None:
        told.add(converted.compared(image, series.about.number))
    return told, why


def is_as_pydicom(image: Image, files: Sequence[Path]) -> bool:
    """Whether every slice holds the values of a frame that lies at its position."""
    corners = [image.geometry.to_world(np.array([z, 0, 0])) for z in range(image.geometry.shape[0])]
    found = [False] * len(corners)
    for position, values in frames_by_pydicom(files):
        for z, corner in enumerate(corners):
            if not found[z] and np.abs(corner - position).max() < NEAR_MM:
                found[z] = np.shape(values) == image.array[0, z].shape and np.allclose(values, image.array[0, z])
    return all(found)


def frames_by_pydicom(files: Sequence[Path]) -> Iterator[tuple[NDArray[np.float64], NDArray]]:
    """Position (x, y, z) and values (y, x) of every frame, by pydicom alone."""
    for file in files:
        dataset = pydicom.dcmread(file, force=True)
        by_frame = dataset.get("PerFrameFunctionalGroupsSequence")
        if not by_frame:
            yield np.array(dataset.ImagePositionPatient, float), apply_modality_lut(dataset.pixel_array, dataset)
            continue
        pixels = dataset.pixel_array.reshape(len(by_frame), dataset.Rows, dataset.Columns)
        shared = dataset.SharedFunctionalGroupsSequence[0]
        for values, own in zip(pixels, by_frame, strict=True):
            place, scale = (
                next((group[name][0] for group in (own, shared) if name in group), None)
                for name in ("PlanePositionSequence", "PixelValueTransformationSequence")
            )
            assert place is not None
            scaled = values if scale is None else apply_modality_lut(values, scale)
            yield np.array(place.ImagePositionPatient, float), scaled


class Converted:
    """What dcm2niix made of a folder.

    Args:
        folder: folder of DICOM files of any depth.
        written: empty folder for its files.
        program: dcm2niix.
    """

    def __init__(self, folder: Path, written: Path, program: str) -> None:
        # -p n: values by the standard, not by private elements; names begin with the number of the series
        options = ["-b", "n", "-z", "n", "-p", "n", "-f", "%s_%j"]
        subprocess.run([program, *options, "-o", written, folder], capture_output=True, check=False)
        self._by_number: dict[str, list[Path]] = defaultdict(list)
        for image in sorted(written.glob("*.nii")):
            self._by_number[image.name.split("_")[0]].append(image)

    def compared(self, image: Image, number: str) -> str:
        """The column of the table: whether one of the images of the series has the same values at the same places."""
        files = self._by_number.get(number, [])
        if not files:
            return "not written"
        return "as dcm2niix" if any(same_values(image, file) for file in files) else "differs"


def same_values(image: Image, file: Path) -> bool:
    """Whether a volume of a NIfTI file has the image's values at the same places."""
    other = nibabel.load(file)
    assert isinstance(other, nibabel.nifti1.Nifti1Image)
    # from indices (z, y, x) of the image to those of the file, (x, y, z) in whatever order
    to_ras = np.diag([-1.0, -1.0, 1.0])
    steps = np.linalg.inv(other.affine[:3, :3]) @ to_ras @ image.geometry.axes().T
    first = np.linalg.inv(other.affine) @ np.append(to_ras @ np.asarray(image.geometry.origin), 1.0)
    turns, start = np.rint(steps).astype(int), np.rint(first[:3]).astype(int)
    corner = np.array(image.geometry.shape) - 1
    off = np.abs(steps - turns) @ corner + np.abs(first[:3] - start)
    order = np.abs(turns).argmax(axis=0)
    if np.abs(turns).sum() != 3 or off.max() > 0.1 or sorted(order) != [0, 1, 2]:
        return False
    if tuple(other.shape[axis] for axis in order) != image.geometry.shape:
        return False
    values = np.asarray(other.dataobj).reshape(*other.shape[:3], -1)
    turned = values.transpose(3, *order)
    flips = tuple(1 + axis for axis in range(3) if turns[order[axis], axis] < 0)
    return any(np.allclose(volume, image.array[0], rtol=1e-4) for volume in np.flip(turned, flips))


if __name__ == "__main__":
    main()
