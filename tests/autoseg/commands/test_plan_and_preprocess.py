import shutil

import numpy as np
import pytest

import autoseg
from autoseg.errors import DatasetError, RunFolderError
from autoseg.image.image import Image, write_image
from autoseg.plan.plan import read_plan
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import Split, read_splits, write_splits
from autoseg.run_folder.time_spent import add_time, read_time_spent
from autoseg.run_folder.timed_stage import Stage
from tests.autoseg.commands.stand_ins import FOLD_SECONDS
from tests.autoseg.commands.steps import CASES, preprocessed_times
from tests.autoseg.small_dataset import draw_case, geometry
from tests.example_plan import example_network


def test_planning_writes_all_that_later_stages_read(run):
    for path in (run.dataset, run.fingerprint, run.plan, run.planned, run.reference_plan, run.splits, run.time_spent):
        assert path.exists(), path
    assert sorted(p.name for p in run.preprocessed("3d").iterdir() if not p.name.startswith(".")) == CASES
    assert not run.preprocessed("2d").exists()
    assert sorted(case for split in read_splits(run.splits) for case in split.val) == CASES
    plan, reference = read_plan(run.plan), read_plan(run.reference_plan)
    assert plan == read_plan(run.planned)
    assert plan.time_budget_seconds == 40 * 60, "the default on a CPU"
    assert (plan.device, plan.memory_gb) == ("cpu", 8)
    assert plan.configurations["3d"].training.seconds == FOLD_SECONDS
    assert reference.configurations["3d"].training.seconds is None
    stages = read_time_spent(run).seconds
    assert {"check", "fingerprint", "plan", "preprocess 3d"} <= set(stages)


def test_the_planner_is_given_time_spent_budget_and_a_real_measurement(calls, dataset, tmp_path):
    add_time(RunFolder(tmp_path / "run"), Stage("check"), 100.0)
    autoseg.plan_and_preprocess(dataset, tmp_path / "run", time_budget="10m", device="cpu", plan_only=True, workers=1)
    (asked,) = calls.fitted
    assert asked["budget"] == 600
    assert 100 < asked["spent_seconds"] < 200
    assert asked["configurations"] == ("3d",)
    assert len(asked["splits"]) == 5
    plan = read_plan(tmp_path / "run" / "plan.yaml")
    small = plan.configurations["3d"].changed(
        batch_size=1, patch_size=(16, 16, 16), network=example_network(features=(2, 2))
    )
    cost = asked["measure"](plan, small)
    assert 0 < cost.seconds < 30
    assert not (tmp_path / "run" / "preprocessed").exists(), "--plan-only"


def test_a_bad_data_set_is_refused_whole_and_nothing_is_written(calls, dataset, tmp_path):
    bad = shutil.copytree(dataset, tmp_path / "bad")
    (bad / "imagesTr" / "ball_0_0000.nii.gz").unlink()
    image, label = draw_case(3)
    label[0, 0, 0] = 7
    write_image(bad / "labelsTr" / "ball_3.nii.gz", Image(label[None], geometry()))
    image = np.full_like(image, 3.0)
    write_image(bad / "imagesTr" / "ball_4_0000.nii.gz", Image(image[None], geometry()))
    with pytest.raises(DatasetError) as caught:
        autoseg.plan_and_preprocess(bad, tmp_path / "run", device="cpu", workers=1)
    problems = "\n".join(caught.value.problems)
    for case in ("ball_0", "ball_3", "ball_4"):
        assert case in problems
    assert not (tmp_path / "run").exists()
    assert calls.fitted == []


def test_a_users_own_folds_are_used(calls, dataset, tmp_path):
    own = (Split(train=("ball_0", "ball_1"), val=("ball_2",)), Split(train=("ball_2", "ball_3"), val=("ball_0",)))
    write_splits(tmp_path / "run" / "splits.json", own)
    autoseg.plan_and_preprocess(dataset, tmp_path / "run", plan_only=True, device="cpu", workers=1)
    assert read_splits(tmp_path / "run" / "splits.json") == own
    assert calls.fitted[0]["splits"] == own


def test_a_folder_of_other_things_is_left_alone(calls, dataset, tmp_path):
    (tmp_path / "thesis.txt").write_text("precious", encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"thesis\.txt"):
        autoseg.plan_and_preprocess(dataset, tmp_path, device="cpu")
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_cases_that_configurations_share_are_preprocessed_once(calls, dataset, tmp_path):
    run = RunFolder(tmp_path / "run")
    autoseg.plan_and_preprocess(dataset, run.path, config=["2.5d", "2d"], device="cpu", workers=1)
    assert [p.name for p in (run.path / "preprocessed").iterdir() if not p.name.startswith(".")] == ["2d"]
    assert calls.fitted[0]["configurations"] == ("2.5d", "2d")
    assert [s for s in read_time_spent(run).seconds if s.startswith("preprocess")] == ["preprocess 2d"]
    before = preprocessed_times(run, "2d")
    autoseg.plan_and_preprocess(dataset, run.path, config="2.5d", workers=1)
    assert preprocessed_times(run, "2d") == before
    autoseg.train(run.path, config="2.5d", fold=0)
    assert calls.trained[0][:2] == ("2.5d", 0)
