import shutil

import pytest

import autoseg
from autoseg.errors import InputError, PlanError, RunFolderError
from autoseg.run_folder.finished_fold import Event
from autoseg.run_folder.splits import Split, read_splits, write_splits
from tests.autoseg.commands.steps import edit
from tests.example_fold import finished_fold


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
    asked = {
        name: calls.trained[0][2][name]
        for name in ("device", "workers", "threads", "epochs", "seconds", "seconds_from_now")
    }
    assert asked == {
        "device": "auto",
        "workers": None,
        "threads": None,
        "epochs": 3,
        "seconds": 300,
        "seconds_from_now": None,
    }
    assert calls.reported == []
    trained = autoseg.train(run.path)
    assert [fold for _, fold, _ in calls.trained] == [0, 1, 2, 3, 4]
    assert calls.reported == ["3d"] == list(trained.reports)
    assert trained.to_frame()["fold"].tolist() == [0, 1, 2, 3, 4]


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


def test_a_training_is_repeated_with_its_threads_and_events(calls, run, tmp_path):
    event = Event(kind="threads", step=7, iterations=100, rate_factor=1.0, threads=1, reason="others")
    first = finished_fold(2, read_splits(run.splits)[2], threads=3, events=(event,))
    file = tmp_path / "finished.json"
    file.write_text(first.model_dump_json(), encoding="utf-8")
    with pytest.raises(InputError, match="is of fold 2"):
        autoseg.train(run.path, fold=0, follow=file)
    with pytest.raises(InputError, match="leave --epochs, --time-budget and --threads out"):
        autoseg.train(run.path, fold=2, follow=file, epochs=3)
    with pytest.raises(InputError, match="does not exist"):
        autoseg.train(run.path, fold=2, follow=tmp_path / "nothing.json")
    assert calls.trained == []
    autoseg.train(run.path, fold=2, follow=file)
    ((_, fold, options),) = calls.trained
    assert (fold, options["follows"]) == (2, first)


def test_threads_and_epochs_are_at_least_one(calls, dataset, run, tmp_path):
    images, out = tmp_path / "images", tmp_path / "out"
    for threads in (0, -2):
        for command in (
            lambda **more: autoseg.plan_and_preprocess(dataset, out, **more),
            lambda **more: autoseg.train(run.path, **more),
            lambda **more: autoseg.predict(run.path, images, out, **more),
            lambda **more: autoseg.select(run.path, **more),
            lambda **more: autoseg.evaluate(images, images, out, **more),
            lambda **more: autoseg.run(dataset, out, **more),
            lambda **more: autoseg.study(dataset, out, **more),
            lambda **more: autoseg.phantom(out, **more),
            lambda **more: autoseg.demo(out, **more),
        ):
            with pytest.raises(InputError, match=f"--threads {threads}: at least one"):
                command(threads=threads)
    for command in (autoseg.run, autoseg.study):
        with pytest.raises(InputError, match="--epochs 0: at least one"):
            command(dataset, out, epochs=0)
    assert not out.exists()


def test_what_is_unusual_in_a_persons_own_folds_is_said_when_training_begins(calls, run, capsys):
    first, *others = read_splits(run.splits)
    left_out = first.val[0]
    write_splits(run.splits, tuple(s.changed(train=tuple(c for c in s.train if c != left_out)) for s in others))
    autoseg.train(run.path, fold=0)
    assert f"in no fold, so not used: {left_out}" in capsys.readouterr().err
    case = others[0].val[0]
    write_splits(run.splits, (others[0].changed(train=(*others[0].train, case)),))
    with pytest.raises(PlanError, match="allow_overlap"):
        autoseg.train(run.path)
    write_splits(run.splits, (others[0].changed(train=(*others[0].train, case), allow_overlap=True),))
    shutil.rmtree(run.fold("3d", 0))
    autoseg.train(run.path)
    said = capsys.readouterr().err
    assert f"too favourable: {case}" in said
    assert "has one fold" in said
