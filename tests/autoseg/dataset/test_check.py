"""The check finds every problem of a data set, and passes sound ones."""

import shutil
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from autoseg.dataset.case import Case
from autoseg.dataset.check import Check, check_dataset
from autoseg.dataset.read import read_dataset
from autoseg.dataset.voxels import Findings, count_values, read_channels
from autoseg.errors import DatasetError
from tests.autoseg.dataset import build


def check(path: Path) -> Check:
    return check_dataset(read_dataset(path), workers=1)


def problems_of(path: Path) -> tuple[str, ...]:
    before = sorted(path.rglob("*"))
    with pytest.raises(DatasetError) as error:
        check(path)
    assert error.value.exit_status == 2
    assert sorted(path.rglob("*")) == before, "nothing is written"
    return error.value.problems


def image(folder: Path, case: int = 1) -> Path:
    return folder / "imagesTr" / f"case_{case}_0000.nii.gz"


def label(folder: Path, case: int = 1) -> Path:
    return folder / "labelsTr" / f"case_{case}.nii.gz"


@pytest.mark.parametrize("make", [build.nnunet, build.decathlon])
def test_sound_data_set_passes_without_warnings(tmp_path, make):
    result = check(make(tmp_path))
    assert result.warnings == ()
    assert [case.name for case in result.cases] == [f"case_{i}" for i in range(5)]
    assert result.cases[0].geometry.shape == build.SHAPE
    assert result.cases[0].geometry.spacing == pytest.approx((3.0, 1.5, 1.0))
    assert result.cases[0].voxels == {"background": 4 * 5 * 6 - 8, "lesion": 8}


@pytest.mark.parametrize("name", ["hippocampus40", "abdomen20"])
def test_real_data_sets_pass(test_data, name):
    dataset = read_dataset(test_data / name)
    result = check_dataset(dataset, workers=2)
    assert len(result.cases) == len(dataset.cases)
    assert all(count > 0 for case in result.cases for count in case.voxels.values())


def truncate(folder: Path) -> None:
    content = image(folder).read_bytes()
    image(folder).write_bytes(content[: len(content) // 2])


def with_nan(folder: Path) -> None:
    array = build.voxels()
    array[2, 3, 4] = np.nan
    array[0, 0, 0] = np.inf
    build.write(image(folder), array)


def fractional(folder: Path) -> None:
    array = build.label_voxels().astype(np.float32)
    array[1, 1, 2] = 0.5
    build.write(label(folder), array)


BAD_INPUTS = {
    "missing image": (lambda f: image(f).unlink(), "missing file: has the label"),
    "missing label": (lambda f: label(f).unlink(), "missing file: has no label"),
    "unreadable image": (lambda f: image(f).write_bytes(b"not an image"), "cannot be read as an image"),
    "empty file": (lambda f: label(f).write_bytes(b""), "is empty (0 bytes)"),
    "truncated image": (truncate, "truncated"),
    "label shifted": (
        lambda f: build.write(label(f), build.label_voxels(), origin=(10, -20, 30.16)),
        "but lies 0.16 mm (0.0533 voxels) beside it: was its header written by another program?",
    ),
    "label of other shape": (
        lambda f: build.write(label(f), build.label_voxels()[:3]),
        "3 × 5 × 6 against 4 × 5 × 6 voxels",
    ),
    "label of other spacing": (
        lambda f: build.write(label(f), build.label_voxels(), spacing=(1, 1.5, 3.3)),
        "spacing 3.3 × 1.5 × 1 against 3 × 1.5 × 1 mm",
    ),
    "label in other direction": (
        lambda f: build.write(label(f), build.label_voxels(), direction=np.diag([-1, -1, 1])),
        "has the image's size, but lies mirrored (x and y; ",
    ),
    "label value not declared": (
        lambda f: build.write(label(f), build.label_voxels(7)),
        "label value not declared: 7 (8 voxels); declared are 0 (background), 1 (lesion)",
    ),
    "mask of 255": (
        lambda f: build.write(label(f), build.label_voxels(255)),
        'if 255 is lesion, declare it so in dataset.json ("lesion": 255), or save the masks with 1',
    ),
    "image for a label": (
        lambda f: build.write(label(f), np.arange(1200, dtype=np.int16).reshape(10, 10, 12)),
        "holds 1,200 different values and looks like an image. Are image and label exchanged in this case?",
    ),
    "fractional label": (fractional, "fractional values 0.5 in 1 voxels"),
    "label with channels": (
        lambda f: build.write(label(f), np.stack([build.label_voxels()] * 2)),
        "a label map must have one channel",
    ),
    "NaN and infinite voxels": (with_nan, "2 of 120 voxels are NaN or infinite, the first at (z, y, x) = (0, 0, 0)"),
    "constant image": (
        lambda f: build.write(image(f), np.full(build.SHAPE, 3, np.float32)),
        "constant image, every voxel is 3",
    ),
    "too many channel files": (
        lambda f: build.write(f / "imagesTr" / "case_1_0001.nii.gz", build.voxels()),
        "wrong number of channels: case_1_0001.nii.gz, but dataset.json declares 1 (T1)",
    ),
    "channels in one file": (
        lambda f: build.write(image(f), build.voxels(0, (2, *build.SHAPE))),
        "is 4D: it holds 2 volumes, and one is expected for each sequence",
    ),
    "duplicate by case": (
        lambda f: (
            shutil.copy(image(f), f / "imagesTr" / "CASE_1_0000.nii.gz"),
            shutil.copy(label(f), f / "labelsTr" / "CASE_1.nii.gz"),
        ),
        "duplicate case: CASE_1 and case_1 differ only in upper and lower case",
    ),
    "unsafe name": (lambda f: image(f).rename(f / "imagesTr" / "a:b_0000.nii.gz"), "the name 'a:b' holds one of"),
}


@pytest.mark.parametrize("spoil, told", BAD_INPUTS.values(), ids=BAD_INPUTS.keys())
def test_bad_input_is_named_with_its_case(tmp_path, spoil, told):
    folder = build.nnunet(tmp_path)
    spoil(folder)
    matching = [problem for problem in problems_of(folder) if told in problem]
    assert matching
    assert matching[0].startswith(("case_1: ", "a:b: "))


def test_every_problem_is_reported_together_in_the_order_of_cases(tmp_path):
    folder = build.nnunet(tmp_path, channels=("T1", "T2"))
    image(folder, 0).write_bytes(b"x")
    build.write(label(folder, 0), build.label_voxels(9))
    with_nan(folder)
    (folder / "imagesTr" / "case_2_0001.nii.gz").unlink()
    fractional(folder)
    build.write(folder / "imagesTr" / "stray.nii.gz", build.voxels())
    problems = problems_of(folder)
    told = (
        ("stray.nii.gz: its name lacks", "case_0: "),
        ("case_0: ", "cannot be read"),
        ("case_0: ", "not declared: 9"),
        ("case_1: ", "NaN"),
        ("case_1: ", "fractional"),
        ("case_2: ", "no file in", "T2 (_0001)"),
    )
    assert len(problems) == len(told)
    assert "stray.nii.gz: its name lacks" in problems[0]
    for problem, (case, *words) in zip(problems[1:], told[1:], strict=True):
        assert problem.startswith(case) and all(word in problem for word in words)


def test_several_processes_report_the_same(tmp_path):
    folder = build.nnunet(tmp_path)
    with_nan(folder)
    build.write(label(folder, 3), build.label_voxels(9))
    dataset = read_dataset(folder)
    found = []
    for workers in (1, 2):
        with pytest.raises(DatasetError) as error:
            check_dataset(dataset, workers=workers)
        found.append(error.value.problems)
    assert found[0] == found[1] and len(found[0]) == 2


def test_decathlon_problems_name_the_field(tmp_path):
    listed = [{"image": f"./imagesTr/case_{i}.nii.gz", "label": f"./labelsTr/case_{i}.nii.gz"} for i in (0, 1, 1)]
    folder = build.decathlon(tmp_path, channels=("FLAIR", "T1w"), training=listed, numTraining=3)
    (folder / "imagesTr" / "case_0.nii.gz").unlink()
    build.write(folder / "imagesTr" / "case_1.nii.gz", build.voxels(0, (3, *build.SHAPE)))
    problems = problems_of(folder)
    assert any("case_0: missing file: dataset.json, field training.0.image" in problem for problem in problems)
    assert any("case_1: duplicate case: found in dataset.json, field training.1" in problem for problem in problems)
    assert any("wrong number of channels" in problem and "holds 3, expected 2" in problem for problem in problems)


def test_table_problems_name_line_and_column(tmp_path):
    rows = build.table(tmp_path)
    rows[0]["T1"] = "T1/nowhere.nii.gz"
    rows[1]["label"] = ""
    rows[2]["T1"] = rows[2]["STIR"] = ""
    rows[3]["case"] = "case_4"
    rows[4]["STIR"] = rows[0]["STIR"]
    path = build.write_table(tmp_path, rows)
    path.write_text(path.read_text(encoding="utf-8") + "one,cell,too,many,here,and,there\n")
    text = "\n".join(problems_of(tmp_path))
    assert "line 2, column T1" in text and "nowhere.nii.gz does not exist" in text
    assert "line 3, column label: is empty" in text
    assert "line 4: names no image" in text
    assert "case_4: duplicate case: found in" in text and "line 5 and" in text
    assert "case_4: duplicate case: case_0, case_4 have the same image file" in text
    assert "line 7: has 7 cells, the header has 6 columns" in text


def test_one_image_annotated_twice_is_sound_within_a_patient(tmp_path):
    rows = build.table(tmp_path, channels=("T1",))
    rows[1]["T1"], rows[1]["patient"] = rows[0]["T1"], rows[0]["patient"]
    build.write_table(tmp_path, rows)
    assert [warning for warning in check(tmp_path).warnings if "identical" in warning] == []


def test_channels_that_do_not_overlap_are_an_error_others_a_warning(tmp_path):
    rows = build.table(tmp_path)
    build.write(tmp_path / rows[0]["STIR"], build.voxels(), origin=(10.5, -20, 30))
    path = build.write_table(tmp_path, rows)
    warnings = check(path.parent).warnings
    assert len(warnings) == 1 and warnings[0].startswith("case_0: ")
    assert "STIR/case_0.nii.gz is on another grid than" in warnings[0] and "T1/case_0.nii.gz" in warnings[0]
    build.write(tmp_path / rows[0]["STIR"], build.voxels(), origin=(500, -20, 30))
    assert any("do not overlap in space" in problem for problem in problems_of(tmp_path))


def test_one_case_is_an_error_few_cases_a_warning(tmp_path):
    assert "has 1 case; cross-validation needs two" in problems_of(build.nnunet(tmp_path / "one", cases=1))[0]
    warnings = check(build.nnunet(tmp_path / "three", cases=3)).warnings
    assert warnings == ("three: only 3 cases, so 3 folds instead of 5",)


def test_patients_count_where_a_table_names_them(tmp_path):
    rows = build.table(tmp_path, cases=6)
    for i, row in enumerate(rows):
        row["patient"] = f"patient_{i % 2}"
    build.write_table(tmp_path, rows)
    assert any("only 2 patients, so 2 folds" in warning for warning in check(tmp_path).warnings)
    for row in rows:
        row["patient"] = "patient_0"
    build.write_table(tmp_path, rows)
    assert "all 6 cases are of patient patient_0" in problems_of(tmp_path)[0]


def test_empty_label_absent_class_and_identical_images_are_warnings(tmp_path):
    folder = build.nnunet(tmp_path, labels={"background": 0, "lesion": 1, "cord": 2})
    build.write(label(folder), np.zeros(build.SHAPE, np.uint8))
    shutil.copy(image(folder, 2), image(folder, 3))
    warnings = "\n".join(check(folder).warnings)
    assert "case_1: label" in warnings and "is empty" in warnings
    assert "label cord (2) is declared, but no case has it" in warnings
    assert "case_2, case_3: their images are identical" in warnings


def test_a_data_set_without_foreground_or_with_a_sequence_that_no_case_has_is_refused(tmp_path):
    folder = build.nnunet(tmp_path / "empty", cases=3)
    for i in range(3):
        build.write(label(folder, i), np.zeros(build.SHAPE, np.uint8))
    assert problems_of(folder) == ("empty: every label is empty; there is nothing to learn",)
    rows = build.table(tmp_path / "table", cases=3)
    for row in rows[1:]:
        row["STIR"] = ""
    build.write(tmp_path / "table" / rows[0]["label"], np.zeros(build.SHAPE, np.uint8))
    build.write_table(tmp_path / "table", rows)
    (problem,) = problems_of(tmp_path / "table")
    assert "no case with foreground has the sequence STIR" in problem


def test_differences_below_a_thousandth_of_a_voxel_pass(tmp_path):
    folder = build.nnunet(tmp_path)
    build.write(label(folder), build.label_voxels(), origin=(10, -20, 30.0029))
    assert check(folder).warnings == ()


@pytest.mark.parametrize("value", [1e38, -1e38, 2.0**63])
def test_values_beyond_64_bits_are_counted(value: float) -> None:
    assert count_values(np.full((2, 3, 4), value, np.float32)) == {float(np.float32(value)): 24}
    assert count_values(np.full((2, 3, 4), 2**64 - 1, np.uint64)) == {float(2**64 - 1): 24}


@pytest.mark.parametrize("ending", [".mhd", ".nhdr"])
def test_a_header_that_takes_its_voxels_from_elsewhere_is_told(tmp_path: Path, ending: str) -> None:
    path = build.write(tmp_path / "case" / f"a{ending}", build.voxels())
    (tmp_path / "scratch").mkdir()
    (tmp_path / "case" / "a.raw").rename(tmp_path / "scratch" / "a.raw")
    for name, told in (("../scratch/a.raw", 1), (str(tmp_path / "scratch" / "a.raw"), 1), ("inside/a.raw", 0)):
        if not told:
            (tmp_path / "case" / "inside").mkdir()
            (tmp_path / "scratch" / "a.raw").rename(tmp_path / "case" / "inside" / "a.raw")
        lines = path.read_text(encoding="utf-8").splitlines()
        key = "ElementDataFile = " if ending == ".mhd" else "data file: "
        changed = [key + name if line.startswith(key) else line for line in lines]
        path.write_text("\n".join(changed) + "\n", encoding="utf-8")
        findings = Findings("one")
        image = read_channels(Case("one", (path,)), findings)
        assert image is not None and findings.problems == []
        expected = f"takes the voxels from {tmp_path / 'scratch' / 'a.raw'}, outside"
        assert [expected in text for text in findings.warnings] == [True] * told


def folders(folder, shapes, labels) -> Path:
    """Images of noise and their label maps (x, y, z), in the folders `images` and `labels`, written by nibabel."""
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
    for i, (shape, label) in enumerate(zip(shapes, labels, strict=True)):
        image = np.random.default_rng(i).normal(100, 20, shape).astype(np.float32)
        for kind, array in (("images", image), ("labels", label)):
            nibabel.save(nibabel.Nifti1Image(array, np.diag([1, 1, 3, 1])), folder / kind / f"c{i}.nii.gz")
    return folder


def block(shape, start: int) -> np.ndarray:
    label = np.zeros(shape, np.uint8)
    label[tuple(slice(start, start + 4) if n > 1 else slice(None) for n in shape)] = 1
    return label


def test_a_sequence_that_is_a_copy_of_another_is_told(tmp_path):
    folder = build.nnunet(tmp_path, channels=("T1", "T2"))
    shutil.copy(folder / "imagesTr" / "case_2_0000.nii.gz", folder / "imagesTr" / "case_2_0001.nii.gz")
    (told,) = check_dataset(read_dataset(folder), workers=1).warnings
    assert told.startswith("case_2: sequences 0 and 1 (") and "case_2_0001.nii.gz) hold the same voxels" in told


@pytest.mark.parametrize("with_patients", [False, True])
def test_visits_of_a_patient_by_the_names_are_told_where_no_patient_is_stated(tmp_path, with_patients):
    names = ("a_pre", "a_post", "b", "c", "d")
    rows = [row | {"case": name} for row, name in zip(build.table(tmp_path), names, strict=True)]
    rows = rows if with_patients else [{key: row[key] for key in row if key != "patient"} for row in rows]
    warnings = check_dataset(read_dataset(build.write_table(tmp_path, rows)), workers=1).warnings
    told = [text for text in warnings if "such as a_pre, a_post, and each counts as another patient's" in text]
    assert len(told) == (not with_patients)


def test_one_label_map_for_several_images_is_told(tmp_path):
    shape = (12, 14, 10)
    labels = [block(shape, start) for start in (1, 2, 1, 3, 4)]
    (told,) = [one for one in check(folders(tmp_path / "a", [shape] * 5, labels)).warnings if "label maps" in one]
    assert told.startswith("c0, c2: their label maps are identical, voxel by voxel, and their images are not")
    assert "patient" in told
    # several sequences of a patient as cases, with one label map
    dataset = read_dataset(tmp_path / "a")
    cases = [replace(case, patient="p" if case.name in ("c0", "c2") else case.name) for case in dataset.cases]
    assert not [w for w in check_dataset(replace(dataset, cases=tuple(cases)), workers=1).warnings if "label maps" in w]
    # no lesions in several cases, and those of few voxels, are no copies
    few = [np.zeros(shape, np.uint8) for _ in range(5)]
    few[0][3, 3, 3] = few[1][3, 3, 3] = few[2][4, 3, 3] = 1
    assert not [one for one in check(folders(tmp_path / "b", [shape] * 5, few)).warnings if "label maps are" in one]


def test_slices_of_several_planes_are_refused(tmp_path):
    shapes = [(20, 22, 1), (1, 22, 20), (20, 22, 1), (20, 1, 22)]
    with pytest.raises(
        DatasetError, match=r"3 planes, axial: 2 \(c0, c2\); sagittal: 1 \(c1\); coronal: 1 \(c3\); make a data set"
    ):
        check(folders(tmp_path, shapes, [block(shape, 5) for shape in shapes]))


def test_slices_of_several_planes_beside_more_volumes_are_not_refused(tmp_path):
    shapes = [(20, 22, 1), (1, 22, 20), (20, 22, 9), (20, 22, 9)]
    warnings = check(folders(tmp_path, shapes, [block(shape, 4) for shape in shapes])).warnings
    (told,) = [warning for warning in warnings if "one slice" in warning]
    assert told.startswith("2 of 4 images have one slice (c0, c1)")


def test_the_cure_for_oblique_slices_of_one_view_works(tmp_path):
    """Normals on both sides of the border between two planes are refused; with straight directions they are not."""
    folder = folders(tmp_path, [(20, 22, 1)] * 4, [block((20, 22, 1), 5)] * 4)

    def turn(degrees: list[float]) -> None:
        for i, angle in enumerate(degrees):
            for path in (folder / "images" / f"c{i}.nii.gz", folder / "labels" / f"c{i}.nii.gz"):
                image = sitk.ReadImage(path)
                cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
                image.SetDirection((1, 0, 0, 0, cos, -sin, 0, sin, cos))
                sitk.WriteImage(image, path)

    turn([43, 47, 43, 47])
    with pytest.raises(DatasetError, match=r"2 planes.*Oblique slices count to the nearest plane.*SetDirection"):
        check(folder)
    turn([0] * 4)
    check(folder)
