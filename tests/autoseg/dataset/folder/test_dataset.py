"""A folder without a table is the data set that its table says, and that nnU-Net's layout of the same files says."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from autoseg.dataset.check import check_dataset
from autoseg.dataset.folder.dataset import table_of
from autoseg.dataset.folder.understand import understand
from autoseg.dataset.read import read_dataset
from autoseg.disk.csv_files import csv_text
from autoseg.errors import DatasetError
from tests.autoseg.dataset import build


def beside(folder: Path, cases: int = 5) -> Path:
    for i in range(cases):
        for sequence in ("T1", "T2"):
            build.write(folder / f"p{i}" / f"{sequence}.nii.gz", build.voxels(i))
        build.write(folder / f"p{i}" / "seg.nii.gz", build.label_voxels(3))
    return folder


def test_the_folder_its_table_and_its_data_frame_say_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = beside(tmp_path / "study")
    found = read_dataset(folder)
    table = tmp_path / "cases.csv"
    table.write_text(csv_text(*table_of(understand(folder), tmp_path)), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    header, rows = table_of(understand(folder), Path())
    for other in (read_dataset(table), read_dataset(pd.DataFrame(rows, columns=list(header)))):
        assert [case.name for case in other.cases] == [case.name for case in found.cases]
        assert [case.images[1].resolve() for case in other.cases] == [case.images[1] for case in found.cases]
        assert (other.channels, other.labels, other.ct) == (found.channels, found.labels, found.ct)
    assert found.labels.values == (0, 3) and found.layout == "a folder for each case"


REAL = {
    "folders of images and of label maps": ("images/{}.nii.gz", "labels/{}.nii.gz", "image"),
    "images and label maps side by side": ("{}.nii.gz", "{}_seg.nii.gz", "image"),
    "a folder for each case": ("{}/T1.nii.gz", "{}/mask.nii.gz", "T1"),
    "BIDS": ("sub-{}/anat/sub-{}_T1w.nii.gz", "derivatives/drawn/sub-{}/anat/sub-{}_dseg.nii.gz", "T1"),
}


@pytest.mark.parametrize("layout", REAL)
def test_real_images_in_every_layout(tmp_path: Path, test_data: Path, layout: str) -> None:
    declared = read_dataset(test_data / "hippocampus40")
    image, label, channel = REAL[layout]
    cases = sorted(declared.cases[:4], key=lambda case: case.name)
    for case in cases:
        for pattern, file in ((image, case.images[0]), (label, case.label)):
            assert file is not None
            link = tmp_path / pattern.replace("{}", case.name.removeprefix("hippocampus_"))
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file)
    named = dict(zip(declared.labels.names, declared.labels.values, strict=True))
    build.write_json(tmp_path / "dataset.json", {"labels": named})
    found = read_dataset(tmp_path)
    assert (found.layout, found.channels, found.labels) == (layout, (channel,), declared.labels)
    for case, original in zip(found.cases, cases, strict=True):
        files, originals = (case.images[0], case.label), (original.images[0], original.label)
        assert [file and file.resolve() for file in files] == [file and file.resolve() for file in originals]
    assert all(sum(row.voxels.values()) == np.prod(row.geometry.shape) for row in check_dataset(found, workers=1).cases)
    # a label map under a name of no image, beside the sound ones
    strange = tmp_path / label.replace("{}", "strange")
    strange.parent.mkdir(parents=True, exist_ok=True)
    strange.symlink_to(declared.cases[0].images[0] or "")
    with pytest.raises(DatasetError, match=rf"strange.*autoseg table {tmp_path} -o cases\.csv --images"):
        read_dataset(tmp_path)


def test_a_link_that_leads_nowhere_is_told(tmp_path: Path) -> None:
    folder = beside(tmp_path)
    (folder / "p0" / "T2.nii.gz").unlink()
    (folder / "p0" / "T2.nii.gz").symlink_to("../.git/annex/objects/lost.nii.gz")
    with pytest.raises(DatasetError, match=r"T2.nii.gz is a link to .*lost.nii.gz, and that file does not exist"):
        check_dataset(read_dataset(folder), workers=1)


def test_files_of_another_ending_in_nnunets_layout_are_named(tmp_path: Path) -> None:
    folder = build.nnunet(tmp_path)
    build.write(folder / "imagesTr" / "case_9_0000.nii", build.voxels(9))
    (folder / "imagesTr" / "case_8_0000.NII.GZ").touch()
    dataset = read_dataset(folder)
    assert len(dataset.cases) == 5
    assert dataset.left_out == (
        "imagesTr/case_8_0000.NII.GZ, imagesTr/case_9_0000.nii: does not end in .nii.gz, as the field file_ending of "
        "dataset.json says",
    )
