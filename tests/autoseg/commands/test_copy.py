import shutil

import pytest

import autoseg
from autoseg.dataset.fingerprint import read_fingerprint
from autoseg.errors import RunFolderError
from autoseg.plan.plan import read_plan
from autoseg.run_folder.dataset_record import read_record as read_data_set_record
from autoseg.run_folder.dataset_record import write_record
from autoseg.run_folder.finished_fold import read_finished
from autoseg.run_folder.paths import RunFolder


def test_models_only_holds_nothing_of_the_patients(calls, dataset, run, tmp_path):
    autoseg.train(run.path)
    # whatever a clinic may have written there
    write_record(run, read_data_set_record(run).changed(description="ball_ 0 to 4, of Mrs Ball"))
    autoseg.copy(run.path, tmp_path / "models", models_only=True)
    copied = RunFolder(tmp_path / "models")
    files = sorted(str(p.relative_to(copied.path)) for p in copied.path.rglob("*") if p.is_file())
    names = ("finished.json", "trained_by.json", "weights.safetensors")
    folds = [f"models/3d/fold_{i}/{name}" for i in range(5) for name in names]
    plans = ["plan.as_planned.yaml", "plan.reference.yaml", "plan.yaml"]
    assert files == ["dataset.json", "fingerprint.json", *folds, *plans]
    for file in files:
        assert b"ball_" not in (copied.path / file).read_bytes(), file
    assert read_plan(copied.plan) == read_plan(run.plan)
    assert len(read_fingerprint(copied.fingerprint).cases) == 5
    before, after = read_finished(run, "3d", 3), read_finished(copied, "3d", 3)
    assert (after.train, after.dice, after.steps) == (None, {}, before.steps)


def test_models_alone_say_that_they_cannot_be_trained(calls, run, tmp_path):
    autoseg.train(run.path, fold=0)
    autoseg.copy(run.path, tmp_path / "models", models_only=True)
    with pytest.raises(RunFolderError, match=r"models alone.*train in the RUN folder"):
        autoseg.train(tmp_path / "models")


def test_a_whole_copy_goes_on_as_the_original(calls, dataset, run, tmp_path):
    autoseg.copy(run.path, tmp_path / "moved")
    shutil.rmtree(run.path)
    autoseg.train(tmp_path / "moved", fold=0)
    assert calls.trained[0][1] == 0


def test_copies_do_not_overwrite(calls, run, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").touch()
    with pytest.raises(RunFolderError, match="not empty"):
        autoseg.copy(run.path, tmp_path / "full")
    with pytest.raises(RunFolderError, match="inside"):
        autoseg.copy(run.path, run.path / "copy")
    with pytest.raises(RunFolderError, match="no trained fold"):
        autoseg.copy(run.path, tmp_path / "models", models_only=True)
    assert not (tmp_path / "models").exists()


def test_links_that_stay_inside_are_the_same_links_in_the_copy_and_loops_end(calls, run, tmp_path):
    (run.path / "models").mkdir(exist_ok=True)
    (run.path / "models" / "loop").symlink_to("..")
    for here, there in (("a", "b"), ("b", "a")):
        (run.path / here).mkdir()
        (run.path / here / "link").symlink_to(run.path / there)
    (run.path / "b" / "text").write_text("b", encoding="utf-8")
    autoseg.copy(run.path, tmp_path / "copied")
    shutil.rmtree(run.path)
    assert (tmp_path / "copied" / "a" / "link").is_symlink()
    assert (tmp_path / "copied" / "a" / "link" / "text").read_text(encoding="utf-8") == "b"
