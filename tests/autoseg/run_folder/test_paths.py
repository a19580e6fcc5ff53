"""Which folders of a run are its folds."""

from pathlib import Path

from autoseg.run_folder.paths import RunFolder


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
