"""The images of cases are found by their names, in a folder that is listed once."""

import unicodedata
from pathlib import Path

import pytest

from autoseg.errors import InputError
from autoseg.image.labels import Labels
from autoseg.run_folder.predictions_folder import PredictionsFolder
from inference.evaluation import label_folders
from inference.evaluation.label_folders import (
    annotated_beside,
    by_case,
    images_of,
    list_labels,
    match_folders,
    strata_beside,
    unmatched_rows,
)


def test_a_case_has_the_image_of_its_name_or_its_first_channel(tmp_path, monkeypatch) -> None:
    for name in ("a.nii.gz", "a_0000.nii.gz", "b_0001.nii.gz", "b_0000.nii.gz", "c_0001.nii.gz", "note.txt"):
        (tmp_path / name).touch()
    listed: list[Path] = []
    entries = label_folders.entries
    monkeypatch.setattr(label_folders, "entries", lambda folder: listed.append(folder) or entries(folder))
    found = images_of(tmp_path, ["a", "b", "c", "d"])
    assert {case: file.name for case, file in found.items()} == {
        "a": "a.nii.gz",
        "b": "b_0000.nii.gz",
        "c": "c_0001.nii.gz",
    }
    assert listed == [tmp_path]


def test_what_is_not_compared_is_named(tmp_path: Path) -> None:
    for name in ("a.nii.gz", "b.nii.bz2", "dataset.json", "notes.docx"):
        (tmp_path / name).touch()
    (tmp_path / "old").mkdir()
    (tmp_path / "c.nii.gz").symlink_to("lost.nii.gz")
    found = list_labels(tmp_path)
    assert [sentence.removeprefix(f"{tmp_path}: not compared: ") for sentence in found.passed_over] == [
        "b.nii.bz2, notes.docx: no label map by its ending; unpack it, or give it its ending",
        "c.nii.gz: is a link to lost.nii.gz, and that file does not exist",
        "old: a folder, which is not looked into",
    ]
    assert set(found.files) == {"a"}


def test_folders_that_autoseg_makes_beside_predictions_are_not_told(tmp_path: Path) -> None:
    folder = PredictionsFolder(tmp_path)
    for own in (folder.work, folder.evaluation):
        own.mkdir()
    (tmp_path / "a.nii.gz").touch()
    assert "evaluation, work: a folder" in list_labels(tmp_path).passed_over[0]
    folder.request.touch()
    assert not list_labels(tmp_path).passed_over


def test_accents_written_in_two_ways_are_one_name(tmp_path: Path) -> None:
    composed, parted = (unicodedata.normalize(form, "André") for form in ("NFC", "NFD"))
    for folder, name in (("references", composed), ("predictions", parted)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}.nii.gz").touch()
    assert [pair.case for pair in match_folders(tmp_path / "references", tmp_path / "predictions").pairs] == [composed]


def filled(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def test_references_beside_their_images_have_the_names_of_these(tmp_path: Path) -> None:
    references = filled(tmp_path / "references", "a.nii.gz", "a_seg.nii.gz", "b.nrrd", "b-label.nrrd", "c.nii.gz")
    predictions = filled(tmp_path / "predictions", "a.nii.gz", "b.nrrd", "c.nii.gz")
    matched = match_folders(references, predictions)
    assert [(pair.case, pair.reference.name) for pair in matched.pairs] == [
        ("a", "a_seg.nii.gz"),
        ("b", "b-label.nrrd"),
        ("c", "c.nii.gz"),
    ]
    assert matched.missing == matched.extra == ()
    assert matched.passed_over == (f"{references}: not compared: a.nii.gz, b.nrrd: the image beside its label map",)
    text = "case,T1,label,annotated,site\na,a.nii.gz,a_seg.nii.gz,liver,x\n"
    (references / "cases.csv").write_text(text, encoding="utf-8")
    labels = Labels(values=(0, 1, 2), names=("background", "liver", "spleen"))
    assert by_case(annotated_beside(references, labels), matched.pairs) == {"a": ("liver",)}
    assert by_case(strata_beside(references), matched.pairs) == {"a": {"site": "x"}}


def test_a_prediction_that_is_called_like_the_label_map_is_compared_with_it(tmp_path: Path) -> None:
    references = filled(tmp_path / "references", "a.nii.gz", "a_seg.nii.gz")
    matched = match_folders(references, filled(tmp_path / "predictions", "a_seg.nii.gz"))
    assert [(pair.case, pair.reference.name) for pair in matched.pairs] == [("a_seg", "a_seg.nii.gz")]


def test_references_that_cannot_be_told_are_refused_with_what_lies_there(tmp_path: Path) -> None:
    references, predictions = (tmp_path / name for name in ("references", "predictions"))
    filled(predictions, "a.nii.gz")
    (filled(references) / "a").mkdir()
    with pytest.raises(
        InputError, match=r"holds no label file; .* not compared: a: a folder, which is not looked into"
    ):
        match_folders(references, predictions)
    filled(references, "a.nii.gz", "a_seg.nii.gz", "a_mask.nii.gz")
    with pytest.raises(InputError, match=r"a_mask\.nii\.gz and a_seg\.nii\.gz are both label maps of a\.nii\.gz"):
        match_folders(references, predictions)


def test_each_folder_is_listed_once(tmp_path: Path, monkeypatch) -> None:
    folders = [tmp_path / "references", tmp_path / "predictions"]
    for folder in folders:
        (folder / "old").mkdir(parents=True)
        (folder / "a.nii.gz").touch()
    listed: list[Path] = []
    entries = label_folders.entries
    monkeypatch.setattr(label_folders, "entries", lambda folder: listed.append(folder) or entries(folder))
    matched = match_folders(*folders)
    assert listed == folders
    assert matched.passed_over == tuple(f"{f}: not compared: old: a folder, which is not looked into" for f in folders)


def test_the_report_beside_a_segmentation_is_no_case(tmp_path: Path) -> None:
    for name in ("a.dcm", "a_report.dcm", "b_report.dcm"):
        (tmp_path / name).touch()
    assert set(list_labels(tmp_path).files) == {"a", "b_report"}


def test_a_row_of_the_table_is_found_by_any_spelling_and_one_of_no_reference_is_told(tmp_path: Path) -> None:
    composed, parted = (unicodedata.normalize(form, "André") for form in ("NFC", "NFD"))
    rows = [f"{name},{name}.nii.gz,{name}_label.nii.gz,liver,x" for name in (parted, "lost")]
    text = "\n".join(["case,T1,label,annotated,site", *rows, "c,c.nii.gz,c_label.nii.gz,,y"])
    (tmp_path / "cases.csv").write_text(text, encoding="utf-8")
    labels = Labels(values=(0, 1, 2), names=("background", "liver", "spleen"))
    case = f"{composed}_label"
    assert strata_beside(tmp_path)[case] == {"site": "x"}
    looked_for = annotated_beside(tmp_path, labels)
    assert looked_for == {case: ("liver",), "lost_label": ("liver",), "c_label": "all"}
    (told,) = unmatched_rows(looked_for, [case])
    assert told.startswith("cases.csv: 1 of 3 rows of the column `annotated` belong to no reference")
    assert ": lost_label;" in told and unmatched_rows(looked_for, list(looked_for)) == ()
