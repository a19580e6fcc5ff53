"""How folders are written whole, and which of a run's folders are its folds."""

import os
from pathlib import Path

import pytest

from autoseg.errors import RunFolderError
from autoseg.files import folder_replaced_when_done
from autoseg.run_folder.paths import RunFolder


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


def test_folds_are_known_by_their_number_and_begun_ones_by_what_they_hold(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    for name in ("fold_10", "fold_2", "fold_2_old", "fold_", "fold_3 2"):
        (run.models("3d") / name).mkdir(parents=True)
    assert run.folds("3d") == ((2, run.fold("3d", 2)), (10, run.fold("3d", 10)))
    assert run.begun_folds("3d") == ()
    (run.fold("3d", 10) / "checkpoint" / "step_00000000").mkdir(parents=True)
    run.weights("3d", 2).touch()
    assert [fold for fold, _ in run.begun_folds("3d")] == [2, 10]
    assert run.folds("2d") == ()
