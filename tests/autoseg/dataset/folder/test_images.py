"""Folders of slices, links and what lies beside them, as the images of a folder are found."""

import os
from pathlib import Path

import pytest

from autoseg.dataset.folder.images import images_in
from autoseg.errors import DatasetError
from autoseg.image import walk
from tests.autoseg.dataset import build


def found(folder: Path) -> tuple[list[str], dict[str, str]]:
    images, left_out = images_in(folder)
    return [str(image.relative_to(folder)) for image in images], {one.file.name: one.why for one in left_out}


def test_slices_in_slices_folders_and_what_lies_beside_them(tmp_path: Path) -> None:
    build.dicom(tmp_path / "p1", build.voxels())
    build.dicom(tmp_path / "p1" / "T1", build.voxels())
    build.dicom(tmp_path / "p1" / ".hidden", build.voxels())
    build.write(tmp_path / "p1" / "seg.nii.gz", build.label_voxels())
    images, left_out = found(tmp_path)
    assert images == ["p1", "p1/T1", "p1/seg.nii.gz"] and left_out == {}


def test_each_folder_is_listed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build.dicom(tmp_path / "p1" / "T1", build.voxels())
    build.write(tmp_path / "p1" / "seg.nii.gz", build.label_voxels())
    listed: list[str] = []
    # Path.iterdir and Path.glob list by these
    for name in ("scandir", "listdir"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda path, real=real: listed.append(Path(path).name) or real(path))
    assert found(tmp_path)[0] == ["p1/T1", "p1/seg.nii.gz"]
    assert listed == [tmp_path.name, "p1", "T1"]


def test_a_link_to_slices_is_no_second_image(tmp_path: Path) -> None:
    build.dicom(tmp_path / "z", build.voxels())
    (tmp_path / "a").symlink_to(tmp_path / "z", target_is_directory=True)
    images, left_out = found(tmp_path)
    assert images == ["z"] and left_out == {"a": f"a link to {tmp_path / 'z'}, which is read where it lies"}


def test_a_folder_that_holds_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build.write(tmp_path / "a" / "b" / "T1.nii.gz", build.voxels())
    monkeypatch.setattr(walk, "DEEPEST", 1)
    with pytest.raises(DatasetError, match=r"deep, such as .*b; give the folder of the data set alone"):
        found(tmp_path)
    monkeypatch.setattr(walk, "MOST_ENTRIES", 1)
    with pytest.raises(DatasetError, match="more than 1 files and folders; give the folder of the data set"):
        found(tmp_path)
