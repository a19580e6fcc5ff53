"""Paths that name a place and what is chosen there."""

from pathlib import Path

import pytest

from autoseg.image.path_choice import split_choice


@pytest.mark.parametrize(
    ("text", "place", "chosen"),
    [
        ("a/scan?series=3&echo=4.92", "a/scan", "series=3&echo=4.92"),
        ("a/scan?series=t?_sag", "a/scan", "series=t?_sag"),
        ("a/scan?series=t1/t2", "a/scan", "series=t1/t2"),
        ("a/what?", "a/what?", ""),
        ("a/what?.nii", "a/what?.nii", ""),
        ("a/scan", "a/scan", ""),
    ],
)
def test_place_and_choice(text: str, place: str, chosen: str) -> None:
    assert split_choice(Path(text)) == (Path(place), chosen)


def test_a_file_of_such_a_name_is_meant_itself(tmp_path: Path) -> None:
    path = tmp_path / "scan?series=3"
    assert split_choice(path) == (tmp_path / "scan", "series=3")
    path.write_bytes(b"")
    assert split_choice(path) == (path, "")
