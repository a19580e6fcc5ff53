"""Folders of slices, links and what lies beside, as the walk through a folder sorts them."""

from pathlib import Path

from autoseg.dataset.folder.walk import images_in
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


def test_a_link_to_slices_is_no_second_image(tmp_path: Path) -> None:
    build.dicom(tmp_path / "z", build.voxels())
    (tmp_path / "a").symlink_to(tmp_path / "z", target_is_directory=True)
    images, left_out = found(tmp_path)
    assert images == ["z"] and left_out == {"a": "a link to a folder that is looked into already"}
