"""Names of files and cases."""

from pathlib import Path

import pytest

from autoseg.dataset.names import split_channel, split_ending


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.nii.gz", ("a", ".nii.gz")),
        ("a.b.NII", ("a.b", ".NII")),
        ("a.Seg.NRRD", ("a", ".Seg.NRRD")),
        (".seg.nrrd", (".seg", ".nrrd")),
        ("scan.v2", ("scan.v2", "")),
        (".nii.gz", (".nii.gz", "")),
        ("a.txt", ("a.txt", "")),
    ],
)
def test_split_ending(name, expected):
    assert split_ending(Path("folder.nii") / name) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a_0001", ("a", 1)), ("a_0001_0000", ("a_0001", 0)), ("a_001", None), ("_0000", None), ("a0000", None)],
)
def test_split_channel(name, expected):
    assert split_channel(name) == expected
