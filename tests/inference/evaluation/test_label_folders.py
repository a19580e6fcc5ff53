"""The images of cases are found by their names, in a folder that is listed once."""

import unicodedata
from pathlib import Path

from autoseg.image.labels import Labels
from autoseg.run_folder.predictions_folder import PredictionsFolder
from inference.evaluation import label_folders
from inference.evaluation.label_folders import (
    annotated_beside,
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
