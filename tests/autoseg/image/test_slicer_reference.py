"""A segmentation of 3D Slicer that was made for another image is noticed by the grid that its header remembers."""

from pathlib import Path

import nrrd
import numpy as np
import pytest

from autoseg.dataset.findings import Findings
from autoseg.dataset.voxels import read_label_map
from autoseg.image.geometry import Geometry
from autoseg.image.image import Image
from autoseg.image.label_file import read_labels
from autoseg.image.labels import Labels
from tests.autoseg.image import named

LABELS = Labels(values=(0, 1), names=("background", "liver"))
GRID = named.grid((7, 8, 9))
LOWER, UPPER = (1, 2, 3), (5, 6, 7)


def parameters(numbers: str) -> str:
    """The parameters of conversion as 3D Slicer 5 writes them, shortened."""
    return (
        "Collapse labelmaps|1|Merge the labelmaps into as few shared labelmaps as possible&Decimation factor|0.0|How "
        f"many&Reference image geometry|{numbers}|Image geometry description string determining the geometry of "
        "the labelmap that is created in course of conversion.&Smoothing factor|0.5|Smoothing factor&"
    )


def stated(geometry: Geometry, *, ras: bool = True) -> str:
    """The grid as Slicer states it: the matrix from (i, j, k) to the patient by rows, and the extent."""
    matrix = np.eye(4)
    matrix[:3, :3] = (np.array(geometry.direction) * np.array(geometry.spacing)[:, None])[::-1].T
    matrix[:3, 3] = geometry.origin
    if ras:
        matrix = np.diag([-1, -1, 1, 1]) @ matrix
    extent = [number for n in geometry.shape[::-1] for number in (0, n - 1)]
    return "".join(f"{number:.10g};" for number in [*matrix.ravel(), *extent])


def segmentation(path: Path, text: str | None) -> Path:
    """A cropped segment, whose voxels lie on the lattice of `GRID`."""
    geometry = named.cropped(GRID, LOWER, UPPER)
    keys = named.slicer_keys([("liver", 1, 0)])
    if text is not None:
        keys["Segmentation_ConversionParameters"] = text
    named.nrrd_file(path, np.ones(geometry.shape, np.uint8), geometry, keys)
    return path


def warnings_of(path: Path) -> list[str]:
    findings = Findings("case")
    found = read_label_map(path, LABELS, Image(np.ones((1, *GRID.shape), np.float32), GRID), findings)
    assert found is not None and not findings.problems
    assert found.array.sum() == 4 * 4 * 4
    return list(findings.warnings)


@pytest.mark.parametrize(("ras"), [True, False])
def test_the_grid_of_its_own_image_is_not_told(tmp_path: Path, ras: bool) -> None:
    path = segmentation(tmp_path / "a.seg.nrrd", parameters(stated(GRID, ras=ras)))
    assert "Reference image geometry" in nrrd.read_header(str(path))["Segmentation_ConversionParameters"]
    assert warnings_of(path) == []
    first = read_labels(path, LABELS).made_for[0 if ras else 1]
    assert first.shape == GRID.shape and first.largest_offset(GRID) < 1e-6


def test_another_image_is_told_with_how_it_differs(tmp_path: Path) -> None:
    longer = named.grid((9, 8, 9))
    (told,) = warnings_of(segmentation(tmp_path / "a.seg.nrrd", parameters(stated(longer))))
    assert (
        "a.seg.nrrd was made for an image of another grid" in told and "is it the segmentation of this image?" in told
    )
    assert "9 × 8 × 9 against 7 × 8 × 9 voxels (z, y, x)" in told
    # of the same size, one slice further
    beside = named.cropped(GRID, (1, 0, 0), (8, 8, 9))
    (told,) = warnings_of(segmentation(tmp_path / "b.seg.nrrd", parameters(stated(beside))))
    assert "corners up to 3 mm (1 voxels) apart" in told


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "Smoothing factor|0.5|how smooth&",
        *map(parameters, ("", "1;2;3;", ";" * 30, "nan;" * 22, "1e300;" * 22, "0;" * 22, "-;" * 22, "9" * 5000)),
    ],
)
def test_a_header_without_it_or_with_nonsense_is_read_as_ever(tmp_path: Path, text: str | None) -> None:
    path = segmentation(tmp_path / "a.seg.nrrd", text)
    assert read_labels(path, LABELS).made_for == () and warnings_of(path) == []
