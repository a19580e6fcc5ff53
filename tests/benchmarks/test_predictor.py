"""Predictor and commands are measured on the same predictions."""

from benchmarks.predictor import main
from tests.autoseg.dataset import build
from tests.tiny_models import SHAPE, make_models


def test_both_ways_are_measured_and_predict_the_same(tmp_path, capsys):
    run = make_models(tmp_path / "RUN", folds=1).path
    image = build.write(tmp_path / "a.nii.gz", build.voxels(1, SHAPE), spacing=(1.0, 1.0, 4.0))
    main([str(run), str(image), "--predictions", "1"])
    shown = capsys.readouterr().out
    assert "0 of 1 predictions differ in a voxel" in shown
    rows = [line.replace("│", " ").split() for line in shown.splitlines() if "process" in line]
    for *_, seconds, _, peak in rows:
        assert float(seconds) > 0.5 and int(peak) > 100, "Python and torch alone take more"
    assert len(rows) == 2
