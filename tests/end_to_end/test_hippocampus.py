"""The main job on real data: forty MR cases in, an evaluated two-fold ensemble out."""

import json
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk

from autoseg.commands.cli import status_of
from autoseg.run_folder.splits import read_splits
from autoseg.run_folder.time_spent import read_time_spent
from autoseg.terminal import format_duration, parse_duration
from tests.end_to_end.conftest import BUDGET


def command(*arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "autoseg.commands.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


def status(*arguments: object) -> int:
    """Exit status of a command that is carried out in this process, which has loaded the libraries."""
    return status_of([*map(str, arguments)])


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_run_holds_what_it_promises(run):
    splits = read_splits(run.splits)
    assert len(splits) == 2
    cases = sorted(case for split in splits for case in split.val)
    assert len(cases) == 40
    for path in (run.dataset, run.fingerprint, run.plan, run.reference_plan):
        assert path.is_file()
    assert sorted(p.name.removesuffix(".nii.gz") for p in run.cross_validation("3d").glob("*.nii.gz")) == cases
    for fold in range(2):
        folder = run.fold("3d", fold)
        assert run.weights("3d", fold).is_file() and run.finished("3d", fold).is_file()
        assert (folder / "log.csv").is_file() and (folder / "progress.png").is_file()
    for name in ("metrics.csv", "summary.json", "report.html"):
        assert (run.report / name).is_file()


@pytest.mark.slow
def test_the_cross_validated_dice_is_that_of_a_useful_model(run, dataset):
    """By the report, and computed again here from the files with SimpleITK."""
    summary = json.loads((run.report / "summary.json").read_text(encoding="utf-8"))
    assert summary["mean_dice"] >= 0.80
    by_class: dict[int, list[float]] = {1: [], 2: []}
    for prediction in sorted(run.cross_validation("3d").glob("*.nii.gz")):
        reference = sitk.ReadImage(str(dataset / "labelsTr" / prediction.name), sitk.sitkUInt8)
        overlap = sitk.LabelOverlapMeasuresImageFilter()
        overlap.SetGlobalDefaultCoordinateTolerance(1e-3)
        overlap.Execute(reference, sitk.ReadImage(str(prediction), sitk.sitkUInt8))
        for label, values in by_class.items():
            values.append(overlap.GetDiceCoefficient(label))
    mean = np.mean([np.mean(values) for values in by_class.values()])
    assert summary["mean_dice"] == pytest.approx(mean, abs=1e-6)


@pytest.mark.slow
def test_the_run_kept_to_its_budget_and_used_it(measured_run):
    """Training ends by the clock, also on a busy machine, where it has fewer steps. Selection and report cannot.

    Two runs on two cores with a load of 16 and of 22 were trained after 366 and 419 of 420 s; then selection and report
    took 255 and 307 s, with 0.2 of a core. So the whole is judged by its work where that is less than the wall time.
    """
    budget, spent = parse_duration(BUDGET), read_time_spent(measured_run.run).total
    most = 1.05 * budget + 10
    assert spent >= 0.6 * budget, format_duration(spent)
    assert measured_run.trained_after <= most, measured_run
    assert min(spent, measured_run.work) <= most, (format_duration(spent), measured_run)


@pytest.mark.slow
def test_the_ensemble_predicts_new_images_at_their_geometry(run, dataset, tmp_path):
    images = sorted((dataset / "imagesTs").glob("*.nii.gz"))[:3]
    (tmp_path / "broken.nii.gz").write_bytes(b"not an image")
    done = command("predict", run.path, "-i", *images, tmp_path / "broken.nii.gz", "-o", tmp_path / "out")
    assert done.returncode == 1, done.stderr
    assert "broken" in done.stderr and "Traceback" not in done.stderr
    assert sorted(p.name for p in (tmp_path / "out").glob("*.nii.gz")) == sorted(p.name for p in images)
    for image in images:
        given, predicted = sitk.ReadImage(str(image)), sitk.ReadImage(str(tmp_path / "out" / image.name))
        assert given.GetSize() == predicted.GetSize()
        for get in ("GetOrigin", "GetSpacing", "GetDirection"):
            assert np.allclose(getattr(given, get)(), getattr(predicted, get)(), rtol=0, atol=1e-5)


@pytest.mark.slow
def test_the_same_command_again_trains_nothing(run, dataset):
    before = {fold: run.weights("3d", fold).stat().st_mtime_ns for fold in range(2)}
    done = command("run", dataset, "-o", run.path)
    assert done.returncode == 0, done.stderr
    assert {fold: run.weights("3d", fold).stat().st_mtime_ns for fold in range(2)} == before
    assert "report.html" in done.stdout


@pytest.mark.slow
def test_a_copy_of_the_models_predicts_the_same(run, dataset, tmp_path):
    image = sorted((dataset / "imagesTs").glob("*.nii.gz"))[0]
    assert status("copy", run.path, "-o", tmp_path / "models", "--models-only") == 0
    for source, output in ((run.path, "one"), (tmp_path / "models", "other")):
        assert status("predict", source, "-i", image, "-o", tmp_path / output) == 0
    one, other = (sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / o / image.name))) for o in ("one", "other"))
    assert np.array_equal(one, other) and one.any()
