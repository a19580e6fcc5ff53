import json
import os
import shutil

import pytest

import autoseg
from autoseg.dataset.fingerprint import read_fingerprint, write_fingerprint
from autoseg.errors import PlanError, RunFolderError
from autoseg.image.image import Image, write_image
from autoseg.plan.plan import read_plan
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.preprocessed_case import read_record
from autoseg.run_folder.splits import Split, read_splits, write_splits
from autoseg.run_folder.time_spent import add_time
from autoseg.run_folder.timed_stage import Stage
from tests.autoseg.commands.steps import again, edit, preprocessed_times
from tests.autoseg.small_dataset import draw_case, geometry


def test_again_nothing_is_done_again(calls, dataset, run, monkeypatch):
    before, fingerprint = preprocessed_times(run), run.fingerprint.stat().st_mtime_ns
    monkeypatch.setattr("planner.fingerprint.measure_fingerprint", None)
    monkeypatch.setattr("autoseg.dataset.check.check_dataset", None)
    again(dataset, run)
    assert preprocessed_times(run) == before
    assert run.fingerprint.stat().st_mtime_ns == fingerprint
    assert calls.fitted == []


def test_edits_are_kept_and_only_what_they_touch_is_done_again(calls, dataset, run, capsys):
    before = preprocessed_times(run)
    edit(run, r"iterations: 100\b", "iterations: 77")
    plan = again(dataset, run)
    assert plan.configurations["3d"].training.iterations == 77
    assert preprocessed_times(run) == before, "a schedule does not touch preprocessing"
    assert "configurations.3d.training.iterations" in capsys.readouterr().out

    spacing = read_plan(run.plan).configurations["3d"].spacing
    edit(run, r"spacing: \[.*?\]", "spacing: [3.0, 2.0, 2.0]")
    again(dataset, run)
    assert all(now > before[case] for case, now in preprocessed_times(run).items())
    assert spacing != (3.0, 2.0, 2.0)
    assert read_record(run.case("3d", "ball_0")).spacing == (3.0, 2.0, 2.0)
    assert calls.fitted == []


def test_a_malformed_edit_names_file_and_field(calls, dataset, run):
    edit(run, r"batch_size: \d+", "batch_size: many")
    with pytest.raises(PlanError, match=r"plan\.yaml.*batch_size"):
        again(dataset, run)


def test_replan_discards_edits(calls, dataset, run):
    edit(run, r"iterations: 100\b", "iterations: 77")
    plan = again(dataset, run, replan=True, time_budget="20m", device="cpu")
    assert plan.configurations["3d"].training.iterations == 100
    assert plan.time_budget_seconds == 1200
    assert len(calls.fitted) == 1


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"time_budget": "20m"}, "20 min"),
        ({"memory": 24}, "24"),
        ({"architecture": "resenc_m"}, "resenc_m"),
        ({"device": "cuda"}, "cuda"),
        ({"config": ["3d", "2d"]}, "2d"),
    ],
)
def test_other_wishes_on_an_existing_run_ask_for_replan(calls, dataset, run, options, named):
    before = run.plan.read_bytes()
    with pytest.raises(RunFolderError, match=f"{named}.*--replan"):
        again(dataset, run, **options)
    assert run.plan.read_bytes() == before


def test_the_same_wishes_again_are_no_others(calls, dataset, run):
    again(dataset, run, time_budget="40m", memory=8, architecture="plain", device="cpu")


def test_a_trained_model_is_not_orphaned_by_another_plan(calls, dataset, run):
    autoseg.train(run.path, fold=1)
    with pytest.raises(RunFolderError, match="3d fold 1"):
        again(dataset, run, replan=True)
    # so it is not what a message asks for
    with pytest.raises(RunFolderError, match=r"without time|time budget") as refused:
        again(dataset, run, time_budget="3h")
    assert "use a new RUN folder" in str(refused.value) and "--replan" not in str(refused.value)


def test_folds_that_share_a_case_are_refused(calls, dataset, run):
    write_splits(run.splits, (Split(train=("ball_0", "ball_1"), val=("ball_1",)),))
    with pytest.raises(PlanError, match=r"splits\.json.*ball_1"):
        again(dataset, run)


def test_a_changed_data_set_is_measured_and_planned_again(calls, dataset, run, tmp_path):
    larger = shutil.copytree(dataset, tmp_path / "larger")
    image, label = draw_case(9)
    write_image(larger / "imagesTr" / "ball_9_0000.nii.gz", Image(image[None], geometry()))
    write_image(larger / "labelsTr" / "ball_9.nii.gz", Image(label[None], geometry()))
    declared = json.loads((larger / "dataset.json").read_text(encoding="utf-8"))
    (larger / "dataset.json").write_text(json.dumps(declared | {"numTraining": 6}), encoding="utf-8")
    run.splits.unlink()
    again(dataset, run, replan=True, time_budget="20m", memory=24, architecture="resenc_m", device="cpu")
    run.splits.unlink()
    plan = again(larger, run)
    assert len(read_fingerprint(run.fingerprint).cases) == 6
    assert len(calls.fitted) == 2
    assert run.case("3d", "ball_9").exists()
    # what the former plan was made for, and not the defaults
    assert (plan.time_budget_seconds, plan.memory_gb, plan.device) == (1200, 24, "cpu")
    assert {c.network.architecture for c in plan.configurations.values()} == {"resenc_m"}


def test_a_stop_between_a_changed_data_set_and_its_plan_forgets_no_wish(calls, dataset, run, monkeypatch):
    again(dataset, run, replan=True, time_budget="20m", memory=24, device="cpu")
    run.plan.unlink()
    plan = again(dataset, run)
    assert (plan.time_budget_seconds, plan.memory_gb) == (1200, 24)


def test_touched_files_are_measured_but_their_models_stay(calls, dataset, run, tmp_path):
    """A copy of the data set has other file times; equal measurements mean that it has not changed."""
    autoseg.train(run.path)
    copied = shutil.copytree(dataset, tmp_path / "copied")
    os.utime(copied / "imagesTr" / "ball_0_0000.nii.gz", (5, 5))
    again(copied, run)
    image, _ = draw_case(0)
    write_image(copied / "imagesTr" / "ball_0_0000.nii.gz", Image(2 * image[None], geometry()))
    with pytest.raises(RunFolderError, match=r"data set has changed.*3d fold 0"):
        again(copied, run)


def test_a_case_in_no_fold_is_told(calls, dataset, run, capsys):
    folds = read_splits(run.splits)
    without = [
        Split(train=[c for c in f.train if c != "ball_4"], val=[c for c in f.val if c != "ball_4"]) for f in folds
    ]
    write_splits(run.splits, tuple(f for f in without if f.val))
    again(dataset, run)
    assert "ball_4" in capsys.readouterr().out


def test_another_data_set_gets_the_whole_budget_and_its_own_folds(calls, dataset, tmp_path):
    own = tmp_path / "own"
    shutil.copytree(dataset, own)
    run = RunFolder(tmp_path / "run")
    autoseg.plan_and_preprocess(own, run.path, device="cpu", workers=1)
    add_time(run, Stage("train", "3d", 0), 5000.0)
    for folder in ("imagesTr", "labelsTr"):
        for file in (own / folder).glob("ball_4*"):
            file.unlink()
    document = json.loads((own / "dataset.json").read_text(encoding="utf-8"))
    (own / "dataset.json").write_text(json.dumps(document | {"numTraining": 4}), encoding="utf-8")
    again(own, run)
    assert calls.fitted[-1]["spent_seconds"] < 1000
    assert {case for split in read_splits(run.splits) for case in split.val} == {f"ball_{i}" for i in range(4)}


def test_a_persons_own_folds_outlast_another_data_set(calls, dataset, tmp_path):
    own = tmp_path / "own"
    shutil.copytree(dataset, own)
    run = RunFolder(tmp_path / "run")
    autoseg.plan_and_preprocess(own, run.path, device="cpu", workers=1)
    splits = read_splits(run.splits)[:2]
    write_splits(run.splits, splits)
    image, label = draw_case(5)
    write_image(own / "imagesTr" / "ball_5_0000.nii.gz", Image(image[None], geometry()))
    write_image(own / "labelsTr" / "ball_5.nii.gz", Image(label[None], geometry()))
    document = json.loads((own / "dataset.json").read_text(encoding="utf-8"))
    (own / "dataset.json").write_text(json.dumps(document | {"numTraining": 6}), encoding="utf-8")
    again(own, run)
    assert read_splits(run.splits) == splits


@pytest.mark.parametrize(("letters", "possible"), [("SPL", True), ("IAR", True), ("LPS", False)])
def test_images_as_they_are_stored_need_the_axes_that_were_planned(calls, dataset, run, letters: str, possible: bool):
    fingerprint = read_fingerprint(run.fingerprint)
    cases = tuple(case.changed(orientation=letters) for case in fingerprint.cases)
    write_fingerprint(run.fingerprint, fingerprint.changed(cases=cases))
    text = run.plan.read_text(encoding="utf-8")
    run.plan.write_text(text.replace("orientation: canonical", "orientation: as_stored"), encoding="utf-8")
    if possible:
        assert again(dataset, run, plan_only=True).orientation == "as_stored"
    else:
        with pytest.raises(PlanError, match=r"case ball_0 is stored with axes .* towards LPS"):
            again(dataset, run, plan_only=True)


def test_room_is_asked_for_what_is_not_there_yet_alone(calls, dataset, run, monkeypatch):
    asked = []
    monkeypatch.setattr("autoseg.dataset.disk_space.require_disk_space", lambda folder, needed: asked.append(needed))
    monkeypatch.setattr("autoseg.commands.preparation.require_disk_space", lambda folder, needed: asked.append(needed))
    again(dataset, run)
    autoseg.plan_and_preprocess(dataset, run.path, config="2d", workers=1)
    of_preprocessed, of_another = asked
    assert of_another > of_preprocessed, "what 3d takes is no room for 2d"
