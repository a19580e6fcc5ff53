"""The three layouts give the cases, channels and labels that they declare."""

import re
from pathlib import Path

import numpy as np
import pandas
import pytest

from autoseg.dataset.dataset_json import is_synthetic
from autoseg.dataset.load import load_case
from autoseg.dataset.read import read_dataset
from autoseg.dataset.record import record_of
from autoseg.errors import DatasetError
from tests.autoseg.dataset import build


def problems_of(path: Path) -> str:
    with pytest.raises(DatasetError) as error:
        read_dataset(path)
    return "\n".join(error.value.problems)


def test_nnunet_groups_channels_by_their_numbers(tmp_path):
    labels = {"background": 0, "cord": 600, "disc": 200}
    folder = build.nnunet(tmp_path / "spine", channels=("T1", "ct"), labels=labels)
    (folder / "imagesTr" / "._case_0_0000.nii.gz").write_bytes(b"macOS")
    dataset = read_dataset(folder)
    assert (dataset.layout, dataset.name, dataset.file_ending) == ("nnunet", "spine", ".nii.gz")
    assert dataset.channels == ("T1", "ct") and dataset.ct == (False, True)
    assert dataset.labels.values == (0, 200, 600) and dataset.labels.names == ("background", "disc", "cord")
    assert [case.name for case in dataset.cases] == [f"case_{i}" for i in range(5)]
    assert dataset.cases[3].images == tuple(folder / "imagesTr" / f"case_3_{c:04d}.nii.gz" for c in range(2))
    assert dataset.cases[3].label == folder / "labelsTr" / "case_3.nii.gz"
    assert dataset.warnings == () and dataset.problems == ()


def test_nnunet_follows_files_listed_in_dataset_json(tmp_path):
    folder = build.nnunet(tmp_path, cases=2)
    listed = {"first": {"images": ["imagesTr/case_1_0000.nii.gz"], "label": "labelsTr/case_1.nii.gz"}}
    dataset = read_dataset(build.nnunet(folder, cases=2, dataset=listed, numTraining=2))
    assert [case.name for case in dataset.cases] == ["first"]
    assert dataset.cases[0].images == (folder / "imagesTr/case_1_0000.nii.gz",)
    assert "numTraining" in dataset.warnings[0]


@pytest.mark.parametrize(("stated", "read"), [("Spines.\nAll adult. ", "Spines.\nAll adult."), (None, ""), ([1], "")])
def test_description_is_kept_and_one_that_is_no_text_is_no_error(tmp_path, stated, read):
    dataset = read_dataset(build.nnunet(tmp_path, cases=1, description=stated))
    assert dataset.description == record_of(dataset).description == read


@pytest.mark.parametrize(("stated", "read"), [(True, True), (False, False), ("made by hand", None), (None, None)])
@pytest.mark.parametrize("layout", [build.nnunet, build.decathlon])
def test_that_images_are_synthetic_is_recorded_as_stated_and_anything_else_is_no_error(tmp_path, layout, stated, read):
    dataset = read_dataset(layout(tmp_path, cases=1, synthetic=stated))
    assert dataset.synthetic is record_of(dataset).synthetic is read


def test_what_is_stated_goes_before_the_name():
    assert [is_synthetic(stated, "MR of a phantom") for stated in (True, False, None)] == [True, False, True]
    assert [is_synthetic(stated, "Spines") for stated in (True, False, None)] == [True, False, False]


def test_decathlon_several_channels_are_one_4d_file(tmp_path):
    folder = build.decathlon(tmp_path, channels=("FLAIR", "T1w"))
    dataset = read_dataset(folder / "dataset.json")
    assert (dataset.layout, dataset.name, dataset.file_ending) == ("decathlon", "tiny", ".nii.gz")
    assert dataset.channels == ("FLAIR", "T1w")
    case = dataset.cases[2]
    assert case.name == "case_2" and case.several_channels_in_one_file
    assert case.images == (folder / "imagesTr" / "case_2.nii.gz",) * 2


def test_decathlon_modality_ct_and_macos_files_in_its_list(tmp_path):
    listed = [
        {"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"} for name in ("case_0", "._case_0")
    ]
    dataset = read_dataset(build.decathlon(tmp_path, cases=1, channels=("CT",), training=listed))
    assert dataset.ct == (True,)
    assert [case.name for case in dataset.cases] == ["case_0"]
    assert not dataset.cases[0].several_channels_in_one_file


def as_nnunet_1(folder):
    """The Decathlon's list with a file for each channel, as data sets of nnU-Net v1 have them."""
    build.decathlon(folder, channels=("FLAIR", "T1w"))
    for i in range(5):
        (folder / "imagesTr" / f"case_{i}.nii.gz").unlink()
        for channel in range(2):
            build.write(folder / "imagesTr" / f"case_{i}_{channel:04d}.nii.gz", build.voxels(10 * i + channel))
    return folder


def test_nnunet_1_lists_names_without_the_numbers_of_channels(tmp_path):
    folder = as_nnunet_1(tmp_path)
    dataset = read_dataset(folder)
    assert [case.name for case in dataset.cases] == [f"case_{i}" for i in range(5)]
    assert dataset.cases[2].images == tuple(folder / "imagesTr" / f"case_2_{i:04d}.nii.gz" for i in range(2))
    assert not dataset.cases[2].several_channels_in_one_file and dataset.left_out == ()
    assert "5 of 5 images of its list are files numbered by channel (_0000), as nnU-Net v1" in dataset.warnings[0]
    loaded = load_case(dataset.cases[2], dataset.labels, "as_stored")
    np.testing.assert_array_equal(loaded.image, [build.voxels(20), build.voxels(21)])


def test_a_listed_path_that_leads_through_a_file_is_told(tmp_path):
    build.decathlon(tmp_path, cases=1)
    listed = [{"image": "./imagesTr/case_0.nii.gz/a.nii.gz", "label": "./labelsTr/case_0.nii.gz"}]
    (case,) = read_dataset(build.decathlon(tmp_path, cases=1, training=listed)).cases
    assert "case_0.nii.gz/a.nii.gz does not exist" in case.problems[0]


def test_channels_of_nnunet_1_that_lack_or_are_too_many_are_told(tmp_path):
    folder = as_nnunet_1(tmp_path)
    (folder / "imagesTr" / "case_1_0001.nii.gz").rename(folder / "imagesTr" / "case_3_0002.nii.gz")
    found = {case.name: " ".join(case.problems) for case in read_dataset(folder).cases if case.problems}
    assert set(found) == {"case_1", "case_3"}
    assert "field training.1.image: " in found["case_1"] and "case_1_0001.nii.gz does not exist" in found["case_1"]
    assert "case_3_0002.nii.gz, but dataset.json declares 2" in found["case_3"]


@pytest.mark.parametrize("layout", ["decathlon", "nnunet"])
def test_files_that_a_list_does_not_name_are_told(tmp_path, layout):
    if layout == "decathlon":
        folder = build.decathlon(tmp_path)
    else:
        names = {"images": ["imagesTr/case_0_0000.nii.gz"], "label": "labelsTr/case_0.nii.gz"}
        folder = build.nnunet(tmp_path, cases=1, dataset={"a": names})
    build.write(folder / "imagesTr" / "late.nii.gz", build.voxels(9))
    (folder / "imagesTr" / "._late.nii.gz").touch()
    field = "training" if layout == "decathlon" else "dataset"
    assert read_dataset(folder).left_out == (f"imagesTr/late.nii.gz: not in the field {field} of dataset.json",)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_table_tells_sequences_from_stratification_columns(tmp_path, delimiter):
    rows = build.table(tmp_path)
    rows[1]["STIR"] = ""
    rows[2]["T1"] = str(tmp_path / "T1" / "case_2.nii.gz")
    dataset = read_dataset(build.write_table(tmp_path, rows, delimiter).parent)
    assert dataset.layout == "table" and dataset.channels == ("T1", "STIR")
    assert dataset.cases[1].present == (True, False)
    assert dataset.cases[2].images == (tmp_path / "T1/case_2.nii.gz", tmp_path / "STIR/case_2.nii.gz")
    assert dataset.cases[3].strata == {"lesion_type": "lytic"} and dataset.cases[3].patient == "patient_3"
    assert dataset.labels.values == (0, 1), "found in the label files"


def test_table_warns_of_a_sequence_none_of_whose_folders_exists(tmp_path):
    rows = build.table(tmp_path)
    for number, row in enumerate(rows):
        row["T2"] = f"dicom/case_{number}/T2"
        row["scanner"] = "1.5T/body"
    dataset = read_dataset(build.write_table(tmp_path, rows))
    assert dataset.channels == ("T1", "STIR")
    (warning,) = dataset.warnings
    assert "'T2'" in warning and "dicom/case_0/T2" in warning


def test_table_takes_prose_and_names_of_folders_for_no_sequence(tmp_path):
    rows = build.table(tmp_path)
    for number, row in enumerate(rows):
        row["comment"] = "no finding, " * 40
        row["subject"] = f"sub-{number}"
        (tmp_path / row["subject"]).mkdir()
        build.dicom(tmp_path / "series" / row["subject"], build.voxels(number))
        row["T2"] = f"series/{row['subject']}"
    dataset = read_dataset(build.write_table(tmp_path, rows))
    assert dataset.channels == ("T1", "STIR", "T2")
    assert dataset.cases[0].strata["subject"] == "sub-0"


def test_table_with_declared_labels_and_order_of_channels(tmp_path):
    path = build.write_table(tmp_path, build.table(tmp_path))
    declared = {
        "name": "metastases",
        "labels": {"background": 0, "metastasis": 1},
        "channel_names": {"0": "STIR", "1": "T1"},
    }
    build.write_json(tmp_path / "dataset.json", declared)
    dataset = read_dataset(path)
    assert dataset.name == "metastases" and dataset.channels == ("STIR", "T1")
    assert dataset.labels.names == ("background", "metastasis")
    assert dataset.cases[0].images == (tmp_path / "STIR/case_0.nii.gz", tmp_path / "T1/case_0.nii.gz")


def test_table_finds_label_values_that_are_not_consecutive(tmp_path):
    rows = build.table(tmp_path, cases=2)
    build.write(tmp_path / rows[0]["label"], build.label_voxels(600))
    build.write(tmp_path / rows[1]["label"], build.label_voxels(200).astype("float32"))
    dataset = read_dataset(build.write_table(tmp_path, rows))
    assert dataset.labels.values == (0, 200, 600)


@pytest.mark.parametrize(("name", "layout", "cases"), [("hippocampus40", "decathlon", 40), ("abdomen20", "nnunet", 20)])
def test_real_data_sets(test_data, name, layout, cases):
    dataset = read_dataset(test_data / name)
    assert (dataset.layout, len(dataset.cases)) == (layout, cases)
    assert not dataset.problems and not any(case.problems for case in dataset.cases)
    assert all(case.label is not None and case.label.exists() for case in dataset.cases)
    assert not any("imagesTs" in str(image) for case in dataset.cases for image in case.images)


def test_neither_json_nor_table(tmp_path):
    assert "neither a dataset.json" in problems_of(tmp_path)
    assert "does not exist" in problems_of(tmp_path / "nowhere")
    build.write_json(tmp_path / "dataset.json", {"name": "x"})
    assert "channel_names" in problems_of(tmp_path)


def test_json_syntax_error_names_its_line(tmp_path):
    (tmp_path / "dataset.json").write_text('{\n "channel_names": {"0": "T1"},\n "labels": {,}\n}', encoding="utf-8")
    assert "dataset.json, line 3" in problems_of(tmp_path)


def test_json_fields_all_wrong_ones_named_with_their_lines(tmp_path):
    build.nnunet(tmp_path, labels={"background": 0, "lesion": "one"}, channel_names={"1": "T1"}, file_ending=3)
    text = problems_of(tmp_path)
    lines = (tmp_path / "dataset.json").read_text(encoding="utf-8").splitlines()
    for field, key in (("labels.lesion", "lesion"), ("channel_names", "channel_names"), ("file_ending", "file_ending")):
        line = next(i for i, content in enumerate(lines, 1) if f'"{key}"' in content)
        assert f"line {line}, field {field}:" in text


def test_decathlon_field_in_a_list_named_with_its_line(tmp_path):
    build.decathlon(tmp_path, training=[{"image": "a.nii.gz", "label": "b.nii.gz"}, {"image": "c.nii.gz"}])
    text = problems_of(tmp_path)
    assert "field training.1.label: Field required" in text and ", line " in text


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (
            {"background": 0, "whole": [1, 2]},
            "label 2 would come out as label 1, because no region is label 2 alone. If",
        ),
        ({"background": 0, "whole": [0, 1]}, "labels.whole: 0 is the background's value"),
        ({"background": 0, "a": 1, "ignore": [2, 3]}, "labels.ignore: has several values"),
        ({"background": 0, "lesion": 2, "ignore": 1}, "labels.ignore: must have the highest value; it has 1, and 2"),
        ({"background": 0, "lesion": 1, "Ignore": 2}, "write \"ignore\" for 'Ignore' if its voxels are not annotated"),
        ({"background": 0, "lesion": 1, "other": 1}, "value 1 is given to two labels"),
        ({"lesion": 1}, "no label has the value 0"),
        ({"background": 1, "lesion": 0}, "the background must have the value 0"),
        ({"background": 0}, "declare one label beside"),
        ({"background": 0, "lesion": 1.5}, "labels.lesion"),
    ],
)
def test_labels_that_cannot_be_used(tmp_path, labels, told):
    text = problems_of(build.nnunet(tmp_path, cases=2, labels=labels))
    assert told in text
    lines = (tmp_path / "dataset.json").read_text(encoding="utf-8").splitlines()
    first = next(i for i, content in enumerate(lines, 1) if '"labels"' in content)
    assert re.search(rf"dataset\.json, line ({first}|{first + 1}|{first + 2}|{first + 3}), field labels", text)


def test_json_field_given_twice(tmp_path):
    build.nnunet(tmp_path, cases=2)
    (tmp_path / "dataset.json").write_text('{"labels": {"lesion": 1,\n "cord": 2,\n "lesion": 3}}', encoding="utf-8")
    assert "dataset.json, line 3: field 'lesion' is given twice" in problems_of(tmp_path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name,T1,label\na,b.nii.gz,c.nii.gz\n", "line 1: has no column `case`"),
        ("case,T1\na,b.nii.gz\n", "line 1: has no column `label`"),
        ("case,T1,Mask\na,b.nii.gz,c.nii.gz\n", "is 'Mask' the column `label`? Rename it"),
        ("case,T1,T1,label\na,b,c,d\n", "line 1: column 'T1' is given twice"),
        ("case,T1,,label\na,b,c,d\n", "line 1: column 3 has no name"),
        ("case,T1,label\n", "lists no case"),
        (
            "case,T1,label\na,b.nii.gz,\nb,c.nii.gz,NA\n",
            "column `label` is empty in all 2 rows; fill in the path of each",
        ),
        ("", "line 1: has no column `case`"),
        ('case,T1,label\na,"b.nii.gz,c\n', "line 2: not a table"),
        ("case,grade,label\na,high,c.nii.gz\n", "no column names image files"),
    ],
)
def test_table_malformed_as_a_whole(tmp_path, text, told):
    (tmp_path / "cases.csv").write_text(text, encoding="utf-8")
    assert told in problems_of(tmp_path)


def test_empty_columns_and_missing_patients_are_told(tmp_path):
    rows = [row | {"T2": "", "patient": "" if i else "p"} for i, row in enumerate(build.table(tmp_path))]
    build.write_table(tmp_path, rows)
    dataset = read_dataset(tmp_path)
    told = "\n".join(dataset.warnings)
    assert "column 'T2' is empty: a sequence that no case has? It is passed over" in told
    assert "column `patient` is empty in 4 of 5 cases, such as case_1" in told
    assert all("T2" not in case.strata for case in dataset.cases)


@pytest.mark.parametrize(("patients", "told"), [(("p1", "P1", "q"), True), (("p1", "p1", "q"), False)])
def test_patients_that_differ_in_their_spelling_alone_are_told(tmp_path, patients, told):
    rows = [row | {"patient": name} for row, name in zip(build.table(tmp_path, cases=3), patients, strict=True)]
    warnings = [text for text in read_dataset(build.write_table(tmp_path, rows)).warnings if "P1 and p1 differ" in text]
    assert len(warnings) == told and all("write them alike" in text for text in warnings)


def test_files_of_another_sequence_in_a_column_are_told(tmp_path):
    seconds = {"a": "T2", "b": "T1w", "c": "x"}
    lines = [f"{name},{name}_T1.nii,{name}_{second}.nii,{name}_seg.nii" for name, second in seconds.items()]
    folder = table(tmp_path, "case,T1,T2,label", *lines)
    (told,) = [text for text in read_dataset(folder).warnings if "another sequence" in text]
    assert "column 'T2' names 1 of 3 files that are called as another sequence: b_T1w.nii." in told


@pytest.mark.parametrize(
    ("channels", "ending", "told"),
    [
        (("noNorm", "T1"), ".nii.gz", ["noNorm"]),
        (("rgb_to_0_1",) * 3, ".nii.gz", ["rgb_to_0_1"]),
        (("rgb_to_0_1",) * 3, ".png", []),
        (("T1",), ".nii.gz", []),
    ],
)
def test_channels_that_name_a_normalisation_of_nnunet_are_told(tmp_path, channels, ending, told):
    folder = build.nnunet(tmp_path, cases=1, channels=channels, file_ending=ending)
    warnings = [text for text in read_dataset(folder).warnings if "nnU-Net chooses how to normalise" in text]
    assert [f"channel {name}: " in text for name, text in zip(told, warnings, strict=True)] == [True] * len(told)


def test_the_index_of_a_data_frame_may_name_the_cases(tmp_path):
    folder = table(tmp_path, "case,T1,label", "a,a.nii,a_seg.nii")
    files = {
        "T1": [str(folder / f"{name}.nii") for name in "ab"],
        "label": [str(folder / f"{name}_seg.nii") for name in "ab"],
    }
    frame = pandas.DataFrame(files, index=pandas.Index(["a", "b"], name="case"))
    assert [case.name for case in read_dataset(frame).cases] == ["a", "b"]


def test_a_spreadsheet_is_to_be_saved_as_csv(tmp_path):
    (tmp_path / "cases.xlsx").write_bytes(b"PK")
    assert "save it as CSV UTF-8 (cases.csv)" in problems_of(tmp_path / "cases.xlsx")


def test_table_not_utf8_names_its_line(tmp_path):
    (tmp_path / "cases.csv").write_bytes("case,T1,label\na,b,c\nMüller,b,c\n".encode("latin-1"))
    assert "line 3: not UTF-8" in problems_of(tmp_path)


def table(tmp_path: Path, header: str, *lines: str) -> Path:
    for name in ("a", "b", "c"):
        build.write(tmp_path / f"{name}.nii", build.voxels())
        build.write(tmp_path / f"{name}_seg.nii", build.label_voxels())
    (tmp_path / "cases.csv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("word", ["NA", "n/a", "NaN", "-", "none", ""])
def test_words_for_a_sequence_that_was_not_acquired(tmp_path, word):
    folder = table(tmp_path, "case,T1,T2,label", f"a,a.nii,{word},a_seg.nii", "b,b.nii,c.nii,b_seg.nii")
    dataset = read_dataset(folder)
    assert dataset.channels == ("T1", "T2")
    assert [case.present for case in dataset.cases] == [(True, False), (True, True)]
    assert not any(case.problems for case in dataset.cases)


def test_a_table_written_on_windows(tmp_path):
    build.write(tmp_path / "mr" / "a.nii", build.voxels(9))
    folder = table(tmp_path, "case,T1,label", "a,mr\\a.nii,a_seg.nii", "b,.\\b.nii,.\\b_seg.nii")
    dataset = read_dataset(folder)
    assert [case.images for case in dataset.cases] == [(tmp_path / "mr/a.nii",), (tmp_path / "b.nii",)]
    assert not any(case.problems for case in dataset.cases)


@pytest.mark.parametrize("column", ["patient_id", "Participant_ID", "subject"])
def test_other_names_of_the_patients_column(tmp_path, column):
    folder = table(tmp_path, f"case,T1,label,{column}", "a,a.nii,a_seg.nii,x", "b,b.nii,b_seg.nii,x")
    dataset = read_dataset(folder)
    assert [(case.patient, case.strata) for case in dataset.cases] == [("x", {}), ("x", {})]
    assert f"column '{column}' is taken for `patient`" in dataset.warnings[0]


def test_the_own_name_comes_first(tmp_path):
    folder = table(tmp_path, "case,T1,label,patient,subject", "a,a.nii,a_seg.nii,p,s", "b,b.nii,b_seg.nii,q,s")
    dataset = read_dataset(folder)
    assert [(case.patient, case.strata) for case in dataset.cases] == [("p", {"subject": "s"}), ("q", {"subject": "s"})]


def test_excels_line_of_the_separator_and_its_empty_cells_at_the_end(tmp_path):
    folder = table(tmp_path, "sep=;", "case;T1;label", "a;a.nii;a_seg.nii;;", "b;b.nii;b_seg.nii")
    dataset = read_dataset(folder)
    assert [case.name for case in dataset.cases] == ["a", "b"] and dataset.problems == ()


def test_a_cell_beyond_the_header_is_a_problem(tmp_path):
    dataset = read_dataset(table(tmp_path, "case,T1,label", "a,a.nii,a_seg.nii,more", "b,b.nii,b_seg.nii"))
    assert dataset.problems == (f"{tmp_path / 'cases.csv'}, line 2: has 4 cells, the header has 3 columns",)


@pytest.mark.parametrize(("values", "asked"), [("aabbccdde", True), ("abcdefghi", False), ("aaabbbccc", False)])
def test_a_column_that_looks_like_patients_is_asked_about(tmp_path, values, asked):
    lines = []
    for i, value in enumerate(values):
        build.write(tmp_path / f"{i}.nii", build.voxels(i))
        build.write(tmp_path / f"{i}_seg.nii", build.label_voxels())
        lines.append(f"{i},{i}.nii,{i}_seg.nii,{value}")
    dataset = read_dataset(table(tmp_path, "case,T1,label,ward", *lines))
    assert any("if it names patients, call it `patient`" in warning for warning in dataset.warnings) is asked


@pytest.mark.parametrize(
    ("column", "values", "told"),
    [
        ("split", ["train", "Train", "val", "test"], "train in 2, val in 1, test in 1 of 4 cases"),
        ("usage", ["training", "training", "training", "testing"], "testing in 1 of 4 cases"),
        ("fold", ["0", "0", "1", "1"], "seems to number the folds"),
        ("site", ["A", "A", "B", "B"], None),
        ("grade", ["0", "0", "1", "1"], None),
        ("site", ["train"] * 4, None),
    ],
)
def test_a_column_that_says_what_cases_are_for_is_not_followed_in_silence(tmp_path, column, values, told):
    lines = []
    for i, value in enumerate(values):
        build.write(tmp_path / f"{i}.nii", build.voxels(i))
        build.write(tmp_path / f"{i}_seg.nii", build.label_voxels())
        lines.append(f"{i},{i}.nii,{i}_seg.nii,{value}")
    dataset = read_dataset(table(tmp_path, f"case,T1,label,{column}", *lines))
    found = [warning for warning in dataset.warnings if "Leave cases for testing out of the table" in warning]
    assert len(found) == (told is not None) and (told is None or told in found[0])
    assert [case.strata for case in dataset.cases] == [{column: value} for value in values]
