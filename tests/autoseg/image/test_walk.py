"""The files of a folder at any depth, and what can be none."""

import os
from pathlib import Path

import pytest

from autoseg.errors import ImageError
from autoseg.image import walk
from autoseg.image.walk import LeftOut, files_inside, told_by_reason


def made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def test_files_of_each_folder_follow_each_other(tmp_path: Path) -> None:
    files = [made(tmp_path / name) for name in ("b", "z", "a/1", "a/c/2", "c/3")]
    made(tmp_path / ".hidden")
    assert files_inside(tmp_path) == (files, [])


def test_links_and_pipes(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    inside, outside = made(root / "in" / "a"), made(elsewhere / "b")
    (root / "out").symlink_to(elsewhere)
    (root / "again").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(root)
    (root / "same").symlink_to(root / "in")
    (root / "gone").symlink_to("nowhere")
    os.mkfifo(root / "pipe")
    files, left_out = files_inside(root)
    assert files == [root / "again" / outside.name, inside]
    told = {str(one.file.relative_to(root)): one.why for one in left_out}
    assert told == {
        "again/back": f"a link to {root}, which is read where it lies",
        "same": f"a link to {root / 'in'}, which is read where it lies",
        "out": f"a link to {elsewhere}, which is read under another name",
        "gone": "a link to nowhere, and that file does not exist",
        "pipe": "a named pipe, from which no image is read; give a file",
    }


def test_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "DEEPEST", 2)
    made(tmp_path / "1" / "2" / "a")
    made(tmp_path / "1" / "2" / "3" / "b")
    files, (left_out,) = files_inside(tmp_path)
    assert [file.name for file in files] == ["a"]
    assert left_out.file.name == "3" and "more than 2 folders deep" in left_out.why
    (tmp_path / ".hidden").touch()
    monkeypatch.setattr(walk, "MOST_ENTRIES", 5)
    assert len(files_inside(tmp_path)[0]) == 1
    monkeypatch.setattr(walk, "MOST_ENTRIES", 4)
    with pytest.raises(ImageError, match="more than 4 files and folders; give the folder of the images"):
        files_inside(tmp_path)


def test_entries_are_counted_before_they_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Entry:
        name = "x"

    class Endless:
        given = 0

        def __enter__(self) -> "Endless":
            return self

        def __exit__(self, *_: object) -> None: ...

        def __iter__(self) -> "Endless":
            return self

        def __next__(self) -> Entry:
            self.given += 1
            return Entry()

    endless = Endless()
    monkeypatch.setattr(walk.os, "scandir", lambda _: endless)
    monkeypatch.setattr(walk, "MOST_ENTRIES", 10)
    with pytest.raises(ImageError, match="more than 10"):
        files_inside(tmp_path)
    assert endless.given == 11


def test_a_link_to_what_lies_in_a_hidden_folder_is_followed(tmp_path: Path) -> None:
    inside = made(tmp_path / ".store" / "in" / "a")
    (tmp_path / "shown").symlink_to(inside.parent)
    assert files_inside(tmp_path) == ([tmp_path / "shown" / "a"], [])


def test_reasons_are_told_once(tmp_path: Path) -> None:
    found = [LeftOut(tmp_path / "in" / f"{i}.txt", "no image") for i in range(6)]
    found.append(LeftOut(tmp_path / "x", "a report"))
    first, second = told_by_reason(tmp_path, found)
    shown = ", ".join(str(Path("in") / f"{i}.txt") for i in range(4))
    assert first == f"{shown} and 2 more: no image"
    assert second == "x: a report"
