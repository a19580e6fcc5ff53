"""Names of files and cases."""

from pathlib import Path

import pytest

from autoseg.dataset.names import split_channel, split_ending, why_unsafe


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.nii.gz", ("a", ".nii.gz")),
        ("a.b.NII", ("a.b", ".NII")),
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


@pytest.mark.parametrize("name", ["case_1", "Müller 3", "a.b-c(2)", "患者1", "console", "COM10"])
def test_safe_names(name):
    assert why_unsafe(name) is None


@pytest.mark.parametrize(
    "name", ["", "a/b", "a\\b", "..", ".a", "a.", "a ", " a", "-o", "a:b", "a\nb", "CON", "com1.x", "a" * 200]
)
def test_unsafe_names(name):
    assert why_unsafe(name)
