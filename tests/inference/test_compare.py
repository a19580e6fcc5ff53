"""`evaluate` compares what planning accepts: storage turned, a little beside, values a little from whole numbers."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from autoseg.image.flat.kind import grid
from autoseg.image.geometry import Geometry
from autoseg.image.image import Image, write_image
from autoseg.image.labels import Labels
from inference.compare import Pair, compare
from tests.autoseg.dataset import build
from tests.autoseg.dataset.draw_pictures import save
from tests.autoseg.image import named
from tests.autoseg.image.nifti import files

LABELS = Labels(values=(0, 1), names=("background", "lesion"))


def reference(folder: Path) -> Path:
    return build.write(folder / "reference.nii.gz", build.label_voxels())


@pytest.mark.parametrize("orientation", ["LPS", "RAI", "SAR", "PIL", "ASL"])
def test_a_prediction_that_is_stored_along_other_axes(tmp_path: Path, orientation: str) -> None:
    turned = sitk.DICOMOrient(sitk.ReadImage(str(reference(tmp_path))), orientation)
    sitk.WriteImage(turned, str(tmp_path / "prediction.nii.gz"))
    done = compare(Pair("a", reference(tmp_path), tmp_path / "prediction.nii.gz"), LABELS)
    assert done.problem is None and done.warnings == () and done.rows[0].dice == 1.0


def test_what_is_beside_or_rounded_is_told(tmp_path: Path) -> None:
    values = build.label_voxels().astype(np.float32) * np.float32(0.9999)
    path = build.write(tmp_path / "prediction.nii.gz", values, origin=(10.02, -20, 30))
    done = compare(Pair("a", reference(tmp_path), path), LABELS)
    assert done.problem is None and done.rows[0].dice == 1.0
    assert len(done.warnings) == 2 and all(warning.startswith("case a: ") for warning in done.warnings)
    assert "8 voxels" in done.warnings[0] and "0.02 mm" in done.warnings[1]


def test_further_beside_is_a_problem(tmp_path: Path) -> None:
    path = build.write(tmp_path / "prediction.nii.gz", build.label_voxels(), origin=(10.06, -20, 30))
    done = compare(Pair("a", reference(tmp_path), path), LABELS)
    assert done.rows == () and "up to 0.06 mm (0.06 voxels) apart" in str(done.problem)


def test_a_reference_by_the_other_transform_of_the_prediction(tmp_path: Path) -> None:
    """The prediction has both transforms of its image; the reference was saved with one of them."""
    values = (files.voxels() > 100).astype(np.uint8)
    both = files.header(sform=(files.moved(7, -11, 5) @ files.affine(), 4), qform=(files.affine(), 1), dtype=np.uint8)
    prediction = files.write(tmp_path / "prediction.nii", values, both)
    for affine, warnings in ((both.get_sform(), 0), (both.get_qform(), 1)):
        nib.save(nib.Nifti1Image(values, affine), tmp_path / "reference.nii")
        done = compare(Pair("a", tmp_path / "reference.nii", prediction), LABELS)
        assert done.problem is None and done.rows[0].dice == 1.0 and len(done.warnings) == warnings


@pytest.mark.parametrize("cropped", ["reference", "prediction"])
def test_what_is_told_of_a_cropped_label_map_and_of_the_other(tmp_path: Path, cropped: str) -> None:
    """A segmentation lies 0.03 voxels beside along x; the values of the label map are rounded."""
    grid = named.grid()
    place = np.array(grid.origin) + 0.03 * grid.spacing[2] * np.array(grid.direction[2])
    beside = Geometry(grid.shape, grid.spacing, tuple(place), grid.direction)
    values = np.zeros(grid.shape, np.uint8)
    values[2:5, 3:7, 1:6] = 1
    segments = named.slicer(
        tmp_path / "crop.seg.nrrd",
        values[2:5, 3:7, 1:6],
        named.cropped(beside, (2, 3, 1), (5, 7, 6)),
        [("lesion", 1, 0)],
    )
    plain = named.nrrd_file(tmp_path / "plain.nrrd", values * np.float32(0.9999), grid, {})
    pair = Pair("a", segments, plain) if cropped == "reference" else Pair("a", plain, segments)
    done = compare(pair, LABELS)
    assert done.problem is None and done.rows[0].dice == 1.0
    told = "\n".join(done.warnings)
    assert len(done.warnings) == 2 and "plain.nrrd: 60 voxels" in told
    assert f"{pair.prediction.name} lies beside {pair.reference.name} (up to 0.03 voxels)" in told


def test_pictures_are_compared_by_row_and_column_in_mm_where_one_states_them(tmp_path: Path) -> None:
    rows, columns = np.indices((40, 50))
    discs = [((rows - 20) ** 2 + (columns - at) ** 2 < 64).astype(np.uint8) for at in (20, 24)]
    save(tmp_path / "reference.png", discs[0])
    save(tmp_path / "prediction.png", discs[1], dpi=(50.8, 50.8))
    done = compare(Pair("a", tmp_path / "reference.png", tmp_path / "prediction.png"), LABELS)
    assert done.problem is None and done.warnings == ()
    # four pixels of half a millimetre
    assert done.rows[0].hd95_mm == pytest.approx(2.0, abs=0.3)
    save(tmp_path / "prediction.png", discs[1].T)
    assert "grid" in str(compare(Pair("a", tmp_path / "reference.png", tmp_path / "prediction.png"), LABELS).problem)


def test_two_empty_pictures_are_compared(tmp_path: Path) -> None:
    for name in ("reference.png", "prediction.png"):
        save(tmp_path / name, np.zeros((40, 50), np.uint8))
    done = compare(Pair("a", tmp_path / "reference.png", tmp_path / "prediction.png"), LABELS)
    assert done.problem is None and len(done.rows) == 1
    assert (done.rows[0].dice, done.rows[0].hd95_mm) == (None, None)


@pytest.mark.parametrize(("own_dpi", "told"), [(None, False), (254, False), (508, True), (100, False), (63.5, True)])
@pytest.mark.parametrize("taken", [0.1, 0.254, 1.0])
def test_the_pixels_of_the_run_count_and_what_the_reference_states_is_told(
    own_dpi: float | None, told: bool, taken: float, tmp_path: Path
) -> None:
    """0.254 mm is 100 pixels per inch, which is no measurement where another program states it."""
    squares = np.zeros((2, 40, 50), np.uint8)
    squares[0, 10:20, 10:20] = squares[1, 10:20, 14:24] = 1
    settings = {} if own_dpi is None else {"dpi": (own_dpi, own_dpi)}
    reference = save(tmp_path / "reference.png", squares[0], **settings)
    prediction = Image(squares[1][None, None], grid(40, 50, (taken, taken)))
    write_image(tmp_path / "prediction.png", prediction)
    done = compare(Pair("a", reference, tmp_path / "prediction.png"), LABELS)
    assert done.problem is None and done.rows[0].hd95_mm == pytest.approx(4 * taken)
    told = told or (own_dpi == 254 and taken != 0.1)
    assert len(done.warnings) == told
    if told:
        own = f"{25.4 / own_dpi:.4g}"
        assert f"reference.png states {own} mm a pixel, and {taken:g} mm is taken" in done.warnings[0]
