import json
import os
import re
import shutil

import numpy as np
import pytest

import autoseg
from autoseg.errors import DatasetError, InputError, PlanError, RunFolderError
from autoseg.fingerprint import read_fingerprint
from autoseg.finished import read_finished, write_finished
from autoseg.image import Image, write_image
from autoseg.pipeline.training import time_left_for_fold
from autoseg.plan import read_plan
from autoseg.preprocessed import read_record
from autoseg.run_folder import RunFolder
from autoseg.run_state import add_time, read_time_spent, write_record
from autoseg.run_state import read_record as read_data_set_record
from autoseg.splits import Split, read_splits, write_splits
from tests.autoseg.pipeline_stand_ins import FOLD_SECONDS, finished, install
from tests.autoseg.small_dataset import draw_case, geometry, make_dataset

CASES = [f"ball_{i}" for i in range(5)]


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("data") / "balls")


@pytest.fixture
def calls(monkeypatch):
    return install(monkeypatch)


@pytest.fixture(scope="module")
def planned_once(dataset, tmp_path_factory):
    """A planned and preprocessed run, made once."""
    with pytest.MonkeyPatch.context() as patch:
        install(patch)
        path = tmp_path_factory.mktemp("planned") / "run"
        autoseg.plan_and_preprocess(dataset, path, device="cpu", workers=1)
    return path


@pytest.fixture
def run(planned_once, tmp_path):
    """A copy of it that the test may change."""
    shutil.copytree(planned_once, tmp_path / "run")
    return RunFolder(tmp_path / "run")


def again(dataset, run, **options):
    return autoseg.plan_and_preprocess(dataset, run.path, workers=1, **options)


def edit(run, pattern, replacement):
    """Edit the configuration 3d of plan.yaml, as a person would in a text editor."""
    text = run.plan.read_text(encoding="utf-8")
    start = text.index("\n  3d:")
    changed = text[:start] + re.sub(pattern, replacement, text[start:], count=1)
    assert changed != text
    run.plan.write_text(changed, encoding="utf-8")


def preprocessed_times(run, configuration="3d"):
    return {case: (run.case(configuration, case) / "image.b2nd").stat().st_mtime_ns for case in CASES}


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
    add_time(RunFolder(tmp_path / "run"), "check", 100.0)
    autoseg.plan_and_preprocess(dataset, tmp_path / "run", time_budget="10m", device="cpu", plan_only=True, workers=1)
    (asked,) = calls.fitted
    assert asked["budget"] == 600
    assert 100 < asked["spent_seconds"] < 200
    assert asked["configurations"] == ("3d",)
    assert len(asked["splits"]) == 5
    plan = read_plan(tmp_path / "run" / "plan.yaml")
    small = plan.configurations["3d"].model_copy(update={"batch_size": 1, "patch_size": (16, 16, 16)})
    network = small.network.model_copy(
        update={
            "features": (2, 2),
            "strides": ((1, 1, 1), (2, 2, 2)),
            "kernel_sizes": ((3, 3, 3),) * 2,
            "encoder_blocks": (1, 1),
            "decoder_blocks": (1,),
        }
    )
    cost = asked["measure"](plan, small.model_copy(update={"network": network}))
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


def test_a_users_own_folds_are_used(calls, dataset, tmp_path):
    own = (Split(train=("ball_0", "ball_1"), val=("ball_2",)), Split(train=("ball_2", "ball_3"), val=("ball_0",)))
    write_splits(tmp_path / "run" / "splits.json", own)
    autoseg.plan_and_preprocess(dataset, tmp_path / "run", plan_only=True, device="cpu", workers=1)
    assert read_splits(tmp_path / "run" / "splits.json") == own
    assert calls.fitted[0]["splits"] == own


def test_folds_that_share_a_case_are_refused(calls, dataset, run):
    write_splits(run.splits, (Split(train=("ball_0", "ball_1"), val=("ball_1",)),))
    with pytest.raises(PlanError, match=r"splits\.json.*ball_1"):
        again(dataset, run)


def test_a_folder_of_other_things_is_left_alone(calls, dataset, tmp_path):
    (tmp_path / "thesis.txt").write_text("precious", encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"thesis\.txt"):
        autoseg.plan_and_preprocess(dataset, tmp_path, device="cpu")
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


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


def test_run_does_everything_and_then_nothing_again(calls, dataset, run):
    autoseg.run(dataset, run.path, device="cpu", workers=1)
    assert [(name, fold) for name, fold, _ in calls.trained] == [("3d", fold) for fold in range(5)]
    assert calls.reported == ["3d"]
    assert calls.trained[0][2]["device"] == "cpu"
    assert {f"train 3d fold {fold}" for fold in range(5)} <= set(read_time_spent(run).seconds)
    autoseg.run(dataset, run.path, workers=1)
    assert len(calls.trained) == 5


def test_run_trains_only_the_folds_that_are_left(calls, dataset, run):
    autoseg.train(run.path, fold=3)
    autoseg.run(dataset, run.path, workers=1)
    assert [fold for _, fold, _ in calls.trained] == [3, 0, 1, 2, 4]


def test_run_never_touches_the_test_images(calls, dataset, run, monkeypatch):
    opened = []
    real = autoseg.image._read if hasattr(autoseg, "image") else None
    assert real is not None

    def read(path):
        opened.append(str(path))
        return real(path)

    monkeypatch.setattr("autoseg.image._read", read)
    shutil.rmtree(run.path)
    autoseg.run(dataset, run.path, device="cpu", workers=1)
    assert any("imagesTr" in path for path in opened)
    assert not any("imagesTs" in path or "labelsTs" in path for path in opened)


def test_a_fold_keeps_its_schedule_while_the_budget_lasts_and_then_shares_what_is_left(run):
    plan = read_plan(run.plan)
    left = [("3d", fold) for fold in range(5)]

    def allowed():
        return time_left_for_fold(run, plan, left, ["3d"])

    assert allowed() is None
    # 2400 s, of which 48 are kept for the report: 902 s for 5 folds of 300 s
    add_time(run, "check", 1450 - read_time_spent(run).total)
    assert allowed() == pytest.approx(902 / 5, abs=0.1)
    # what another configuration took on this RUN does not count
    add_time(run, "train 2d fold 0", 1000)
    assert allowed() == pytest.approx(902 / 5, abs=0.1)
    # a fold that was stopped has 200 s still to do, of 1400 s of all
    add_time(run, "train 3d fold 0", 100)
    assert allowed() == pytest.approx(200 / 1400 * 802, abs=0.1)
    # it finished, having been shortened; 60 s went into its validation, which is expected of the others
    add_time(run, "train 3d fold 0", 110)
    write_finished(run, "3d", 0, finished(0, read_splits(run.splits)[0], seconds_training=150.0))
    left.pop(0)
    assert allowed() == pytest.approx((2400 - 48 - 4 * 60 - 1450 - 210) / 4, abs=0.1)
    add_time(run, "check", 1000)
    assert allowed() == pytest.approx(30), "a tenth of the plan even where nothing is left"


def test_without_a_budget_every_fold_keeps_its_schedule(run):
    plan = read_plan(run.plan).model_copy(update={"time_budget_seconds": None})
    add_time(run, "check", 1e6)
    assert time_left_for_fold(run, plan, [("3d", 0)], ["3d"]) is None


def test_training_what_is_not_there_says_what_to_do(calls, dataset, run, tmp_path):
    with pytest.raises(RunFolderError, match="is not a folder"):
        autoseg.train(tmp_path / "nothing")
    with pytest.raises(RunFolderError, match="plan-and-preprocess"):
        autoseg.train(dataset)
    with pytest.raises(InputError, match="folds 0 to 4"):
        autoseg.train(run.path, fold=5)
    with pytest.raises(PlanError, match="'3d_lowres' is not planned"):
        autoseg.train(run.path, config="3d_lowres")
    with pytest.raises(RunFolderError, match="not preprocessed"):
        autoseg.train(run.path, config="2d")
    with pytest.raises(InputError, match="epochs"):
        autoseg.train(run.path, epochs=0)
    assert calls.trained == []


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


def test_training_on_cases_of_another_spacing_is_refused(calls, run):
    edit(run, r"spacing: \[.*?\]", "spacing: [3.0, 2.0, 2.0]")
    with pytest.raises(RunFolderError, match="plan-and-preprocess"):
        autoseg.train(run.path, fold=0)


def test_training_on_cases_normalised_otherwise_is_refused(calls, run):
    text = run.plan.read_text(encoding="utf-8")
    changed = text.replace("normalization: z_score", "normalization: ct")
    assert changed != text
    run.plan.write_text(changed, encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"normalisation.*plan-and-preprocess"):
        autoseg.train(run.path, fold=0)


def test_training_all_folds_ends_with_the_report(calls, run):
    autoseg.train(run.path, fold=0, time_budget="5m", epochs=3)
    assert calls.trained[0][2] == {"device": "auto", "workers": None, "epochs": 3, "seconds": 300, "at_most": None}
    assert calls.reported == []
    autoseg.train(run.path)
    assert [fold for _, fold, _ in calls.trained] == [0, 1, 2, 3, 4]
    assert calls.reported == ["3d"]


def test_models_only_holds_nothing_of_the_patients(calls, dataset, run, tmp_path):
    autoseg.train(run.path)
    # whatever a clinic may have written there
    write_record(run, read_data_set_record(run).model_copy(update={"description": "ball_ 0 to 4, of Mrs Ball"}))
    autoseg.copy(run.path, tmp_path / "models", models_only=True)
    copied = RunFolder(tmp_path / "models")
    files = sorted(str(p.relative_to(copied.path)) for p in copied.path.rglob("*") if p.is_file())
    folds = [f"models/3d/fold_{i}/{name}" for i in range(5) for name in ("finished.json", "weights.safetensors")]
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


def test_every_public_function_is_documented_with_its_arguments():
    for name in autoseg.__all__:
        assert "Args:" in getattr(autoseg, name).__doc__, name
        assert name in dir(autoseg)
    with pytest.raises(AttributeError, match="nonsense"):
        autoseg.nonsense  # noqa: B018


def test_the_demonstration_draws_its_cases_runs_and_says_that_they_are_synthetic(calls, tmp_path, capsys):
    autoseg.demo(tmp_path / "demo", cases=5, device="cpu")
    assert len(calls.trained) == 5 and calls.reported == ["3d"]
    assert calls.fitted[0]["budget"] == 8 * 60
    shown = " ".join(capsys.readouterr().out.split())
    assert "data are synthetic" in shown, "before anything is drawn; the results say it again"
    table = tmp_path / "demo" / "synthetic_spine" / "cases.csv"
    drawn = table.stat().st_mtime_ns
    autoseg.demo(tmp_path / "demo", cases=5, device="cpu")
    assert table.stat().st_mtime_ns == drawn and len(calls.trained) == 5


def test_replaced_folds_are_checked_before_training(calls, run):
    write_splits(run.splits, (Split(train=("ball_0", "ball_1"), val=("ball_1",)),))
    with pytest.raises(PlanError, match=r"splits\.json.*ball_1"):
        autoseg.train(run.path, fold=0)
    assert calls.trained == []


def test_a_fold_that_learned_from_its_new_validation_cases_is_refused(calls, dataset, run):
    autoseg.train(run.path, fold=0)
    splits = read_splits(run.splits)
    write_splits(run.splits, splits[::-1])
    with pytest.raises(RunFolderError, match=r"fold_0.*another split.*learned from"):
        autoseg.train(run.path)
    with pytest.raises(RunFolderError, match=r"fold_0.*another split.*learned from"):
        autoseg.run(dataset, run.path, workers=1)
    assert len(calls.trained) == 1


def test_a_case_in_no_fold_is_told(calls, dataset, run, capsys):
    folds = read_splits(run.splits)
    without = [
        Split(train=[c for c in f.train if c != "ball_4"], val=[c for c in f.val if c != "ball_4"]) for f in folds
    ]
    write_splits(run.splits, tuple(f for f in without if f.val))
    again(dataset, run)
    assert "ball_4" in capsys.readouterr().out


def test_with_only_validations_left_an_overdrawn_budget_is_no_error(run):
    plan = read_plan(run.plan)
    add_time(run, "train 3d fold 0", 2 * plan.time_budget_seconds)
    assert time_left_for_fold(run, plan, [("3d", 0)], ["3d"]) is None
