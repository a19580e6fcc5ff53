"""The images of cases are found by their names, in a folder that is listed once."""

from pathlib import Path

from inference.evaluation import label_folders
from inference.evaluation.label_folders import images_of


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
