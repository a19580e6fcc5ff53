"""Sequences of patients and studies by their series' descriptions, as a table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from autoseg.dataset.csv_rows import read_table
from autoseg.dataset.dicom_matching import match_folder, match_sequences, patterns_of, rows_of
from autoseg.dataset.inputs import read_inputs
from autoseg.dataset.load import load_case
from autoseg.disk.csv_files import csv_text
from autoseg.errors import DatasetError, InputError
from autoseg.image.dicom.frame import Series
from autoseg.image.dicom.tree import DicomTree, FoundSeries, read_tree
from tests.autoseg.image.dicom import write

T1_AND_T2 = ("T1=*t1*sag*", "T2=*T2*")


def study(folder: Path, patient: str, number: int, *descriptions: str, flat: bool = False) -> dict[str, np.ndarray]:
    """Write the series of a study; voxels by description."""
    arrays = {}
    for i, description in enumerate(descriptions):
        seed = hash((patient, number, i)) % 1000
        array = np.random.default_rng(seed).integers(0, 500, (3, 4, 5)).astype(np.int16)
        elements = {
            "PatientID": patient, "StudyInstanceUID": f"1.{patient[1:]}.{number}", "StudyDate": f"2024010{9 - number}",
            "SeriesInstanceUID": f"1.{patient[1:]}.{number}.{i}", "SeriesNumber": i + 1,
            "SeriesDescription": description,
        }  # fmt: skip
        of = [one.with_elements(**elements) for one in write.stack(array)]
        for z, one in enumerate(of):
            write.single(folder / f"{i}_{z}" if flat else folder / f"se{i}" / f"{z}", one)
        arrays[description] = array
    return arrays


def test_a_table_of_patients_and_studies(tmp_path: Path) -> None:
    root = tmp_path / "dicom"
    # the second study of the first patient is the earlier one by its date
    first = study(root / "a" / "1", "P1", 1, "T1_TSE_SAG", "t2 stir", "localizer")
    second = study(root / "a" / "2", "P1", 2, "t1 sag", flat=True)
    study(root / "b", "P2", 1, "dwi")
    third = study(root / "c", "P3", 1, "t1 tra", "t2 sag", "t1 sag", flat=True)
    matching = match_folder(root, T1_AND_T2)
    header, rows = rows_of(matching, tmp_path)
    assert header == ("case", "T1", "T2", "label", "patient")
    assert rows == [
        ("patient_1_study_2", "dicom/a/1/se0", "dicom/a/1/se1", "", "patient_1"),
        ("patient_1_study_1", "dicom/a/2", "", "", "patient_1"),
        ("patient_3", "dicom/c?series=3", "dicom/c?series=2", "", "patient_3"),
    ]
    told = "\n".join(matching.told)
    assert "without T2: patient_1_study_1" in told
    assert "patient_2: no series fits any pattern, so that it is no case" in told
    assert "fits no pattern: t1 tra (1 series, such as" in told and "fits no pattern: dwi (1 series" in told
    assert "left out a/1/se2/0, a/1/se2/1, a/1/se2/2: a localiser by its description (localizer)" in told
    # the table is read as it is written
    path = tmp_path / "cases.csv"
    path.write_text(csv_text(header, rows), encoding="utf-8")
    assert read_table(path).sequence_columns() == ("T1", "T2")
    cases = read_inputs([path], ("T1", "T2"))
    expected = [(first["T1_TSE_SAG"], first["t2 stir"]), (second["t1 sag"], None), (third["t1 sag"], third["t2 sag"])]
    for case, (t1, t2) in zip(cases, expected, strict=True):
        loaded = load_case(case, None, "as_stored")
        assert loaded.present == (True, t2 is not None) and loaded.warnings == ()
        np.testing.assert_array_equal(loaded.image[0], t1)
        if t2 is not None:
            np.testing.assert_array_equal(loaded.image[1], t2)
    names = [case.name for case in match_sequences(read_tree(root), patterns_of(T1_AND_T2), by_patient=True).cases]
    assert names == ["P1_study_2", "P1_study_1", "P3"]


def test_what_fits_twice_is_refused_with_a_way_out(tmp_path: Path) -> None:
    study(tmp_path, "P1", 1, "t1_sag", "t1_sag_gd", "t2_sag")
    with pytest.raises(DatasetError) as error:
        match_folder(tmp_path, ["T1=*t1*", "T1gd=*t1*gd*"])
    twice, both = error.value.problems
    assert twice.startswith("patient_1: T1 fits 2 series, series 1 (t1_sag) in ")
    assert "such as T1='*t1* not *gd*'" in twice
    assert "series 2 (t1_sag_gd)" in both and "fits T1 and T1gd" in both and "T1='*t1* not *t1*gd*'" in both
    (case,) = match_folder(tmp_path, ["T1=*t1* NOT *gd*", "T1gd=*t1*gd*"]).cases
    assert [found.about.number for found in case.images.values()] == ["1", "2"]
    # several patterns of a sequence, and a number instead of a description
    (case,) = match_folder(tmp_path, ["T2=nothing", "T2=3"]).cases
    assert case.images["T2"].about.description == "t2_sag"


def test_copies_of_a_series_are_told_without_a_word_that_would_part_them(tmp_path: Path) -> None:
    for name in ("a", "b"):
        study(tmp_path / name, "P1", 1, "t1_sag")
    with pytest.raises(DatasetError) as error:
        match_folder(tmp_path, ["T1=*t1*"])
    (told,) = error.value.problems
    assert "T1 fits 2 series" in told and "; move the files away that are not meant" in told and "not *" not in told


@pytest.mark.parametrize("text", ["*t1*", "T1=", "=*t1*", "T1=*t1* not", "T1=not *t1*"])
def test_malformed_patterns(text: str) -> None:
    with pytest.raises(InputError, match="must be a name and a pattern, such as T1="):
        patterns_of([text])


def test_names_of_other_columns_and_patterns_that_fit_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Patient is another column of the table"):
        patterns_of(["Patient=*"])
    study(tmp_path, "P1", 1, "t1_sag")
    with pytest.raises(InputError, match=r"no DICOM series fits X=\*flair\*; there are series 1 \(t1_sag\)"):
        match_folder(tmp_path, ["X=*flair*"])


def test_no_two_cases_have_one_name(tmp_path: Path) -> None:
    """Ids that differ in signs that no name holds, in upper and lower case, or as another's name and number do."""

    def found(i: int, patient: str, study: str) -> FoundSeries:
        about = Series(f"1.{i}", description="t1 sag", study=study, patient=patient)
        folder = tmp_path / str(i)
        return FoundSeries(about, f"patient_{i}", folder, (folder / "0",), 1, folder, folder)

    ids = ["A/1", "A 1", "a-1", "A-1_2", "///", "patient_7", "", "B_study_1"]
    series = [found(i, patient, str(i)) for i, patient in enumerate(ids, start=1)]
    series += [found(9, "B", "9"), replace(found(9, "B", "10"), folder=tmp_path / "10")]
    tree = DicomTree(tmp_path, tuple(series), (), (), (), ())
    cases = match_sequences(tree, patterns_of(("T1=*t1*",)), by_patient=True).cases
    names = [case.name for case in cases]
    assert names == [
        *("A-1", "A-1_2", "a-1_3", "A-1_2_2", "patient_5", "patient_7", "patient_7_2"),
        *("B_study_1", "B_study_1_2", "B_study_2"),
    ]
    # one patient for each id; who states none is nobody else
    assert [case.patient for case in cases] == [*ids[:6], "patient_7_2", ids[7], "B", "B"]
