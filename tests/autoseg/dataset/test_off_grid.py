"""What is said of a label map that is not on its image's grid: wrong header or unit, a localiser, another size."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from autoseg.dataset.case import Case
from autoseg.dataset.load import load_case
from autoseg.dataset.off_grid import mirrored_axes
from autoseg.errors import DatasetError
from autoseg.image.geometry import Geometry
from autoseg.image.labels import Labels
from tests.autoseg.dataset import build
from tests.autoseg.image.dicom import write as dicom
from tests.autoseg.image.nifti import files
from tests.example_record import STRAIGHT

LABELS = Labels(values=(0, 1), names=("background", "lesion"))
TARGET = Geometry((4, 5, 6), (3.0, 1.5, 1.0), (10.0, -20.0, 30.0), STRAIGHT)


def refused(image: Path, label: Path) -> str:
    with pytest.raises(DatasetError) as error:
        load_case(Case("a", (image,), label), LABELS, "as_stored")
    return str(error.value)


def test_a_header_in_ras_for_lps_is_not_to_be_resampled(tmp_path: Path) -> None:
    image = build.write(tmp_path / "image.nrrd", build.voxels())
    mirrored = np.diag([-1.0, -1.0, 1.0])
    label = build.write(tmp_path / "label.nrrd", build.label_voxels(), origin=(-10, 20, 30), direction=mirrored)
    told = refused(image, label)
    assert "has the image's size, but lies mirrored (x and y; " in told
    assert "Copy the image's header to it" in told and "resample it" not in told
    # what resampling would have made of it
    moved = sitk.Resample(sitk.ReadImage(str(label)), sitk.ReadImage(str(image)), sitk.Transform(), 1)
    assert not sitk.GetArrayFromImage(moved).any()


@pytest.mark.parametrize(("signs", "axes"), [((-1, 1, 1), ("x",)), ((1, 1, -1), ("z",)), ((1, 1, 1), ())])
def test_mirrored_axes(signs: tuple[int, ...], axes: tuple[str, ...]) -> None:
    directions = tuple(tuple(np.array(row) * signs) for row in STRAIGHT)
    origin = tuple((np.array(TARGET.origin) * signs).tolist())
    header = Geometry(TARGET.shape, TARGET.spacing, origin, directions)
    elsewhere = Geometry(TARGET.shape, TARGET.spacing, (40.0, 0.0, 0.0), STRAIGHT)
    assert mirrored_axes(header, TARGET) == axes
    assert mirrored_axes(elsewhere, TARGET) == ()


def test_a_label_of_the_same_axes_a_little_beside(tmp_path: Path) -> None:
    image = build.write(tmp_path / "image.nrrd", build.voxels())
    label = build.write(tmp_path / "label.nrrd", build.label_voxels(), origin=(10, -20, 33))
    assert "lies 3 mm (1 voxels) beside it: was its header written by another program?" in refused(image, label)


@pytest.mark.parametrize("shape", [(4, 5, 7), (4, 5, 6)])
def test_resampling_is_a_way_where_size_or_spacing_differ(tmp_path: Path, shape: tuple[int, ...]) -> None:
    image = build.write(tmp_path / "image.nrrd", build.voxels())
    label = build.write(tmp_path / "label.nrrd", np.ones(shape, np.uint8), spacing=(1, 1.5, 4))
    assert "or resample it (nearest neighbour)" in refused(image, label)


@pytest.mark.parametrize("wrong", ["image", "label"])
def test_a_unit_that_was_stated_by_mistake(tmp_path: Path, wrong: str) -> None:
    micron = files.header(sform=(files.affine(), 1), fields={"xyzt_units": 3})
    plain = files.header(sform=(files.affine(), 1), fields={"xyzt_units": 2})
    image = files.write(tmp_path / "image.nii", files.voxels(), micron if wrong == "image" else plain)
    label = files.write(tmp_path / "label.nii", np.ones(files.SHAPE, np.uint8), micron if wrong == "label" else plain)
    told = refused(image, label)
    assert f"the header of the {wrong} states micron, so that a voxel has 0.003 × 0.0015 × 0.001 mm" in told
    assert f"set xyzt_units of the {wrong} to mm" in told and f"{wrong}.nii: its unit is micron" in told


def test_a_unit_with_which_no_scanner_makes_voxels(tmp_path: Path) -> None:
    metre = files.header(sform=(files.affine(), 1), fields={"xyzt_units": 1})
    image = files.write(tmp_path / "image.nii", files.voxels(), metre)
    assert "its header states metre: if that is wrong, set xyzt_units to mm" in refused(image, image)


def test_a_localiser_alone_is_named_as_the_cause(tmp_path: Path) -> None:
    scout = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}
    values = np.random.default_rng(0).integers(0, 500, (3, 4, 5)).astype(np.int16)
    dicom.series(tmp_path / "scan", [one.with_elements(**scout) for one in dicom.stack(values)])
    label = build.write(tmp_path / "label.nrrd", build.label_voxels())
    told = refused(tmp_path / "scan", label)
    assert f"{tmp_path / 'scan'} holds only a localiser of 3 slices; give the folder of the real series" in told


@pytest.mark.parametrize("name", ["label.nii.gz", "label.seg.nrrd"])
def test_a_label_that_was_drawn_on_another_sequence_than_the_first(tmp_path: Path, name: str) -> None:
    """Its header is right: neither copying the first image's header nor resampling is the cure."""
    first = build.write(tmp_path / "t1.nii.gz", build.voxels())
    second = build.write(tmp_path / "t2.nii.gz", build.voxels(1), origin=(10, -20, 33.5))
    label = build.write(tmp_path / name, build.label_voxels(), origin=(10, -20, 33.5))
    if name.endswith(".seg.nrrd"):
        segments = {"ID": "s", "Name": "lesion", "LabelValue": "1", "Layer": "0"}
        image = sitk.ReadImage(str(label))
        for key, value in segments.items():
            image.SetMetaData(f"Segment0_{key}", value)
        sitk.WriteImage(image, str(label))
    with pytest.raises(DatasetError) as error:
        load_case(Case("a", (first, second), label), LABELS, "as_stored")
    (problem,) = error.value.problems
    assert f"label {label} lies on the voxels of {second}, and not on those of the first image" in problem
    assert "list that sequence first" in problem and "header" not in problem
    # and that is enough
    loaded = load_case(Case("a", (second, first), label), LABELS, "as_stored")
    assert loaded.label is not None and np.array_equal(loaded.label, build.label_voxels())
