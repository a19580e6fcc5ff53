"""Which folds predict together, and over which mirrored images."""

import shutil

import numpy as np
import pytest

import inference.ensemble
from autoseg.commands.guards import trained_folds
from autoseg.dataset.inputs import read_inputs
from autoseg.errors import RunFolderError
from autoseg.image.image import read_image, read_label
from autoseg.plan.plan import read_plan, write_plan
from autoseg.run_folder.trained_by import write_trained_by
from inference.ensemble import choose_members
from inference.ensemble_groups import mirror_axes
from planner.rules.reference_plan import reference_plan
from tests.inference.bright_run import AboveMean, fingerprint, predict, run, voxels, write

__all__ = ["run"]


def test_finished_folds_are_averaged_and_loaded_once(run, tmp_path, monkeypatch):
    loaded = []

    def load(run, plan, configuration, fold, device):
        loaded.append((configuration, fold))
        # two folds that say yes weakly, against one that says no strongly
        return AboveMean(sign={0: 0.1, 1: 0.1, 2: -1.0}[fold])

    monkeypatch.setattr(inference.ensemble, "load_network", load)
    array = voxels()
    for name in "ab":
        write(tmp_path / "in" / f"{name}.nii.gz", array)
    cases = read_inputs([tmp_path / "in"], ("T1",))
    predict(run, cases, tmp_path / "out")
    assert loaded == [("3d", 0), ("3d", 1)], "the stopped fold is left out"
    truth = 500 * (array > array.mean())
    assert np.array_equal(read_label(tmp_path / "out" / "a.nii.gz").array[0], truth)
    _, shown = predict(run, cases, tmp_path / "chosen", folds=(2,))
    assert np.array_equal(read_label(tmp_path / "chosen" / "a.nii.gz").array[0], 500 - truth)
    assert "stopped before its end" in shown


def test_probabilities_are_the_mean_of_the_folds_soft_max(run, tmp_path, monkeypatch):
    signs = {0: 0.02, 1: 0.1}
    monkeypatch.setattr(inference.ensemble, "load_network", lambda r, p, c, fold, d: AboveMean(sign=signs[fold]))
    array = voxels()
    cases = read_inputs([write(tmp_path / "a.nii.gz", array)], ("T1",))
    predict(run, cases, tmp_path / "out", save_probabilities=True)
    z_score = (array - array.mean()) / array.std()
    expected = np.mean([1 / (1 + np.exp(-40 * sign * z_score)) for sign in signs.values()], axis=0)
    written = read_image(tmp_path / "out" / "probabilities" / "a" / "label_500.nii.gz").array[0]
    assert np.abs(written - expected).max() < 2e-3
    background = read_image(tmp_path / "out" / "probabilities" / "a" / "label_0.nii.gz").array[0]
    assert np.abs(written + background - 1).max() < 2e-3


def test_a_fold_of_another_plan_does_not_predict(run, tmp_path):
    plan = read_plan(run.plan)
    finer = plan.configuration("3d").changed(spacing=(0.5, 0.5, 0.5))
    write_trained_by(run, plan.changed(configurations={"3d": finer}), "3d", 1)
    cases = read_inputs([write(tmp_path / "a.nii.gz", voxels())], ("T1",))
    with pytest.raises(RunFolderError, match=r"fold 1 of 3d was trained by another plan .*configuration\.spacing"):
        predict(run, cases, tmp_path / "out")


def test_a_copy_of_a_fold_that_a_person_kept_is_no_fold(run):
    for kept in ("fold_0_old", "fold_1 2", "fold_x"):
        shutil.copytree(run.fold("3d", 0), run.models("3d") / kept)
    assert [member.fold for member in choose_members(run, "3d", None)] == [0, 1]
    assert trained_folds(run) == ("3d fold 0", "3d fold 1", "3d fold 2")


def test_where_no_fold_is_finished_those_that_were_stopped_predict(run, tmp_path):
    for fold in range(2):
        run.finished("3d", fold).unlink()
    cases = read_inputs([write(tmp_path / "a.nii.gz", voxels())], ("T1",))
    problems, shown = predict(run, cases, tmp_path / "out")
    assert problems == () and "fold 0, 1, 2: training was stopped" in shown


def test_folds_that_are_not_trained_are_named(run, tmp_path):
    cases = read_inputs([write(tmp_path / "a.nii.gz", voxels())], ("T1",))
    with pytest.raises(RunFolderError, match=r"fold 4 is not trained; trained are 0, 1, 2"):
        predict(run, cases, tmp_path / "out", folds=(1, 4))
    for fold in range(3):
        run.weights("3d", fold).unlink()
    with pytest.raises(RunFolderError, match="autoseg train"):
        predict(run, cases, tmp_path / "out")


def test_mirroring_predicts_each_window_in_every_flip(run, tmp_path, monkeypatch):
    log: list = []
    monkeypatch.setattr(inference.ensemble, "load_network", lambda *arguments: AboveMean(log=log))
    cases = read_inputs([write(tmp_path / "a.nii.gz", voxels())], ("T1",))
    predict(run, cases, tmp_path / "plain", folds=(0,), mirror=False)
    without = len(log)
    log.clear()
    predict(run, cases, tmp_path / "mirrored", folds=(0,), mirror=True)
    assert len(log) == 8 * without
    one, other = (read_label(tmp_path / folder / "a.nii.gz").array for folder in ("plain", "mirrored"))
    assert np.array_equal(one, other), "this network does not care"


def test_an_axis_that_training_did_not_mirror_is_not_mirrored(run):
    planned = reference_plan(fingerprint()).plan.configurations["3d"]
    sided = planned.changed(training=planned.training.changed(mirror=(0, 1)))
    assert mirror_axes(sided, True) == (0, 1)
    assert mirror_axes(sided, False) == ()
    assert sided.prediction.mirror == (0, 1, 2)
    assert mirror_axes(sided, None) == (0, 1)


def test_mirroring_that_was_asked_for_and_cannot_be_is_told(run, tmp_path):
    decided = reference_plan(fingerprint())
    planned = decided.plan.configurations["3d"]
    unmirrored = planned.training.changed(mirror=())

    def plan_with(prediction: tuple[int, ...]) -> None:
        planned_for = planned.prediction.changed(mirror=prediction)
        still = planned.changed(training=unmirrored, prediction=planned_for)
        write_plan(run.plan, decided.plan.changed(configurations={"3d": still}), {})

    plan_with(())
    cases = read_inputs([write(tmp_path / "a.nii.gz", voxels())], ("T1",))
    assert "not mirrored" in predict(run, cases, tmp_path / "asked", mirror=True)[1]
    assert "not mirrored" not in predict(run, cases, tmp_path / "plain")[1]
    plan_with((1, 2))
    assert "not mirrored along y, x" in predict(run, cases, tmp_path / "planned")[1]
