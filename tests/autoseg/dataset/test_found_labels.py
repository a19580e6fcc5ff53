"""Data sets whose label files name their classes: what is made of the names, from the table to the check."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest

from autoseg.dataset.check import check_dataset
from autoseg.dataset.found_labels import labels_found
from autoseg.dataset.load import load_case
from autoseg.dataset.read import read_dataset
from autoseg.errors import DatasetError
from autoseg.image.geometry import Geometry
from tests.autoseg.dataset import build
from tests.autoseg.image import named
from tests.autoseg.image.dicom import write, write_seg

GRID = Geometry(build.SHAPE, (3.0, 1.5, 1.0), (10.0, -20.0, 30.0), ((0, 0, 1), (0, 1, 0), (1, 0, 0)))
LOWER, UPPER = (1, 1, 2), (3, 4, 5)
LIVER, TUMOUR = (0, slice(0, 2), slice(0, 2)), (1, slice(1, 3), 2)


def table(folder: Path, *cases: list[named.Named], declared: dict[str, int] | None = None) -> Path:
    """A table of cropped segmentations; the first segment of each is the liver's box, the second the tumour's."""
    rows = []
    for i, segments in enumerate(cases):
        layers = np.zeros((1 + max((layer for *_, layer in segments), default=0), 2, 3, 3), np.uint8)
        for box, (_, value, layer) in zip((LIVER, TUMOUR), segments, strict=False):
            layers[layer][box] = value
        build.write(folder / f"{i}.nii.gz", build.voxels(i))
        named.slicer(folder / f"{i}.seg.nrrd", layers, named.cropped(GRID, LOWER, UPPER), segments)
        rows.append([f"c{i}", f"{i}.nii.gz", f"{i}.seg.nrrd"])
    with (folder / "cases.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["case", "T1", "label"], *rows])
    if declared is not None:
        build.write_json(folder / "dataset.json", {"labels": declared})
    return folder


def whole(liver: int, tumour: int) -> np.ndarray:
    """The label map on the image's grid."""
    array = np.zeros(build.SHAPE, np.uint8)
    array[1, 1:3, 2:4], array[2, 2:4, 4] = liver, tumour
    return array


@pytest.mark.parametrize("declared", [None, {"background": 0, "liver": 1, "Tumour": 2}], ids=["found", "declared"])
def test_names_in_other_orders_values_and_layers_are_one_class(tmp_path: Path, declared: dict[str, int] | None) -> None:
    folder = table(
        tmp_path,
        [("liver", 1, 0), ("tumour", 2, 0)],
        [("liver", 9, 0), ("tumour", 3, 0)],
        [("liver", 1, 1), ("tumour", 1, 0), ("Segment_3", 2, 0)],
        declared=declared,
    )
    dataset = read_dataset(folder)
    assert dataset.labels.values == (0, 1, 2) and dataset.labels.names[1] == "liver"
    check = check_dataset(dataset, workers=1)
    tumour = dataset.labels.names[2]
    assert [dict(case.voxels) for case in check.cases] == 3 * [{"background": 114, "liver": 4, tumour: 2}]
    told = [text for text in check.warnings if "segment" in text]
    assert told == ([] if declared else [f"{folder / 'cases.csv'}: segment 'Segment_3' has no voxel in any label file; "
                                         "it is no class"])  # fmt: skip
    for case in dataset.cases:
        loaded = load_case(case, dataset.labels, "as_stored")
        np.testing.assert_array_equal(loaded.label, whole(1, 2))


def test_values_that_agree_are_kept_and_others_are_numbered_by_the_alphabet(tmp_path: Path) -> None:
    same = [("liver", 40, 0), ("Tumour", 7, 0)]
    labels = read_dataset(table(tmp_path / "a", same, same, same[:1])).labels
    assert labels.names == ("background", "Tumour", "liver") and labels.values == (0, 7, 40)
    labels = read_dataset(table(tmp_path / "b", same, [("liver", 7, 0), ("Tumour", 40, 0)])).labels
    assert labels.names == ("background", "liver", "Tumour") and labels.values == (0, 1, 2)
    # equal values in two layers are of two classes
    labels = read_dataset(table(tmp_path / "c", [("z", 1, 0), ("a", 1, 1)])).labels
    assert labels.names == ("background", "a", "z") and labels.values == (0, 1, 2)


def test_what_the_files_do_not_agree_on_is_refused_with_the_files(tmp_path: Path) -> None:
    spelled = table(tmp_path / "a", [("liver", 1, 0)], [("Liver", 1, 0)])
    with pytest.raises(
        DatasetError, match=r"'liver' in .*0\.seg\.nrrd and 'Liver' in .*1\.seg\.nrrd; declare the classes"
    ):
        read_dataset(spelled)
    mixed = table(tmp_path / "b", [("liver", 1, 0)], [("liver", 1, 0)])
    build.write(mixed / "1.seg.nrrd", build.label_voxels())
    with pytest.raises(
        DatasetError, match=r"0\.seg\.nrrd names its classes, and .*1\.seg\.nrrd holds numbers alone \(1 of 2"
    ):
        read_dataset(mixed)
    build.write_json(mixed / "dataset.json", {"labels": {"background": 0, "liver": 1}})
    rows = check_dataset(read_dataset(mixed), workers=1).cases
    assert [row.voxels["liver"] for row in rows] == [4, np.count_nonzero(build.label_voxels())]


def test_undeclared_names_and_overlaps_are_told_with_their_case(tmp_path: Path) -> None:
    folder = table(
        tmp_path, [("liver", 1, 0), ("cyst", 2, 0)], [("liver", 1, 0)], declared={"background": 0, "liver": 1}
    )
    layers = np.ones((2, *build.SHAPE), np.uint8)
    named.slicer(folder / "1.seg.nrrd", layers, GRID, [("liver", 1, 0), ("tumour", 1, 1)])
    with pytest.raises(DatasetError) as error:
        check_dataset(read_dataset(folder), workers=1)
    undeclared, overlap = error.value.problems
    assert (
        undeclared.startswith("c0: label: ")
        and "segment 'cyst' (2 voxels); declared are background, liver" in undeclared
    )
    assert overlap.startswith("c1: label: ") and "not declared: segment 'tumour' (120 voxels)" in overlap
    build.write_json(folder / "dataset.json", {"labels": {"background": 0, "liver": 1, "cyst": 2, "tumour": 3}})
    with pytest.raises(DatasetError, match=r"c1: label: .* overlap.* 'liver' and 'tumour' in 120 voxels"):
        check_dataset(read_dataset(folder), workers=1)


def test_a_lattice_a_little_beside_the_image_is_told_and_another_is_refused(tmp_path: Path) -> None:
    folder = table(tmp_path, *2 * [[("liver", 1, 0)]])
    for file, off in (("0", 0.03), ("1", 0.3)):
        moved = Geometry(GRID.shape, GRID.spacing, (10.0 + off, -20.0, 30.0), GRID.direction)
        named.slicer(folder / f"{file}.seg.nrrd", np.ones(build.SHAPE, np.uint8), moved, [("liver", 1, 0)])
    with pytest.raises(DatasetError) as error:
        check_dataset(read_dataset(folder), workers=1)
    (problem,) = error.value.problems
    assert problem.startswith("c1: label ") and "its voxels lie up to 0.3 voxels beside the image's" in problem
    named.slicer(folder / "1.seg.nrrd", np.ones(build.SHAPE, np.uint8), GRID, [("liver", 1, 0)])
    warnings = check_dataset(read_dataset(folder), workers=1).warnings
    assert [w for w in warnings if "beside its image" in w] == [
        f"c0: label {folder / '0.seg.nrrd'} lies up to 0.03 voxels beside its image; it is taken as it is"
    ]


def test_dicom_segmentations_of_dicom_images(tmp_path: Path) -> None:
    for case, numbers in (("a", (1, 2)), ("b", (2, 1))):
        slices = write.stack(np.random.default_rng(ord(case)).integers(0, 99, (5, 4, 6)).astype(np.int16))
        series = write_seg.source(tmp_path / case, slices)
        masks = np.zeros((5, 4, 6, 2), np.uint8)
        masks[2, :2, :3, numbers[0] - 1] = masks[4, 3, 1, numbers[1] - 1] = 1
        names = [name for _, name in sorted(zip(numbers, ("liver", "tumour"), strict=True))]
        write_seg.by_highdicom(tmp_path / f"{case}_seg" / "x.dcm", series, masks, names)
    (tmp_path / "cases.csv").write_text("case,CT,label\na,a,a_seg\nb,b,b_seg/x.dcm\n", encoding="utf-8")
    dataset = read_dataset(tmp_path)
    assert dataset.labels.names == ("background", "liver", "tumour")
    first, second = (load_case(case, dataset.labels, "canonical").label for case in dataset.cases)
    np.testing.assert_array_equal(first, second)
    assert np.bincount(first.ravel()).tolist() == [113, 6, 1]


def test_why_no_label_can_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slices = write.stack(np.ones((2, 3, 4), np.int16))
    write_seg.by_hand(tmp_path / "s.dcm", [(one, 1) for one in slices], ["liver"])
    (tmp_path / "cases.csv").write_text("case,T1,label\na,a.nii.gz,s.dcm\nb,b.nii.gz,s.dcm\n", encoding="utf-8")
    monkeypatch.setitem(sys.modules, "highdicom.seg", None)
    with pytest.raises(DatasetError, match=r"s\.dcm: .* takes the library highdicom to read: pip install"):
        read_dataset(tmp_path)


def test_labels_of_nnunets_layout_may_be_segmentations(tmp_path: Path) -> None:
    folder = build.nnunet(tmp_path)
    (folder / "labelsTr" / "case_0.nii.gz").unlink()
    array = np.where(build.label_voxels() > 0, 7, 0).astype(np.uint8)
    named.slicer(folder / "labelsTr" / "case_0.seg.nrrd", array, GRID, [("Lesion", 7, 0)])
    dataset = read_dataset(folder)
    first, second = (load_case(case, dataset.labels, "canonical").label for case in dataset.cases[:2])
    np.testing.assert_array_equal(first, second)
    named.slicer(folder / "labelsTr" / "case_1.seg.nrrd", array, GRID, [("lesion", 7, 0)])
    told = r"case_1\.nii\.gz and case_1\.seg\.nrrd are both the label of case_1; remove one"
    with pytest.raises(DatasetError, match=told):
        check_dataset(read_dataset(folder), workers=1)


def test_a_segment_called_ignore_marks_what_is_not_annotated(tmp_path: Path) -> None:
    dataset = read_dataset(table(tmp_path, [("Ignore", 1, 0), ("tumour", 2, 0)], [("tumour", 1, 0), ("Ignore", 2, 0)]))
    assert dataset.labels.foreground == ("tumour",) and dataset.labels.values == (0, 1)
    assert dataset.labels.ignore == 2
    loaded = load_case(dataset.cases[0], dataset.labels, "as_stored")
    assert loaded.label is not None
    annotated = dataset.labels.annotated(loaded.label)
    assert annotated is not None and np.count_nonzero(~annotated) == 4


@pytest.mark.parametrize(("values", "told"), [((1, 1, 255), True), ((1, 2, 255), False), ((255, 255, 255), False)])
def test_a_mask_of_255_among_masks_of_1_is_told(tmp_path: Path, values: tuple[int, ...], told: bool) -> None:
    paths = [build.write(tmp_path / f"{i}.nrrd", build.label_voxels(value)) for i, value in enumerate(values)]
    _, warnings = labels_found(paths, tmp_path)
    assert bool(warnings) == told
    assert not told or "label 255 occurs in 1 of 3 label files (2.nrrd), and label 1 in 2 others" in warnings[0]


def test_an_image_for_a_label_map_is_told(tmp_path: Path) -> None:
    path = build.write(tmp_path / "a.nrrd", np.arange(1200, dtype=np.int16).reshape(10, 10, 12))
    with pytest.raises(DatasetError, match=r"a\.nrrd: it holds 1,200 different values and looks like an image"):
        labels_found([path], tmp_path)
