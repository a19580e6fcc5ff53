"""Folders are written whole, or not begun, and removed whole."""

import os
from pathlib import Path

import pytest

from autoseg.errors import RunFolderError
from autoseg.files import discard, folder_replaced_when_done


def test_a_folder_that_nothing_can_be_renamed_onto_is_refused_before_any_work(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == mounted)
    for path in (Path(), tmp_path, mounted):
        with pytest.raises(RunFolderError, match="give a new folder inside it"), folder_replaced_when_done(path):
            pytest.fail("it must not begin")
    with folder_replaced_when_done(Path("new")) as temporary:
        (temporary / "file").touch()
    assert (tmp_path / "new" / "file").exists()


def test_a_discarded_folder_is_gone(tmp_path) -> None:
    folder = tmp_path / "fold_0"
    (folder / "checkpoint" / "step_00000001").mkdir(parents=True)
    discard(folder)
    assert list(tmp_path.iterdir()) == []
    discard(folder)
