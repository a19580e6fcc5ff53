import shutil

import autoseg
from autoseg.image import image
from autoseg.run_folder.time_spent import read_time_spent


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
    real = image._read

    def read(path):
        opened.append(str(path))
        return real(path)

    monkeypatch.setattr(image, "_read", read)
    shutil.rmtree(run.path)
    autoseg.run(dataset, run.path, device="cpu", workers=1)
    assert any("imagesTr" in path for path in opened)
    assert not any("imagesTs" in path or "labelsTs" in path for path in opened)
