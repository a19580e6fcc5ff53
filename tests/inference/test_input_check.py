"""Inputs that are unlike the training cases are predicted, with a warning."""

import numpy as np
import pytest

from autoseg.dataset.inputs import read_inputs
from autoseg.plan.plan import Channel, ForegroundIntensity
from inference.input_check import unusual_intensity
from tests.autoseg.dataset.draw_pictures import save
from tests.inference.bright_run import flat, predict, run, straight, voxels, write

__all__ = ["run"]


@pytest.mark.parametrize(
    ("change", "spacing", "named"),
    [
        (lambda a: a, (1.0, 1.0, 1.0), None),
        (lambda a: a, (1.0, 1.0, 2.5), "spacing along x"),
        (lambda a: a, (0.3, 1.0, 1.0), "spacing along z"),
        (lambda a: 100 * a, (1.0, 1.0, 1.0), "intensities of T1"),
        (lambda a: a / 1000, (1.0, 1.0, 1.0), "intensities of T1"),
        (lambda a: a - 1024, (1.0, 1.0, 1.0), "intensities of T1"),
    ],
)
def test_inputs_far_from_the_training_cases_are_warned_of(run, tmp_path, change, spacing, named):
    image = write(tmp_path / "a.nii.gz", change(voxels()), straight(spacing=spacing))
    problems, shown = predict(run, read_inputs([image], ("T1",)), tmp_path / "out")
    assert problems == ()
    if named is None:
        assert "spacing" not in shown and "intensities" not in shown
    else:
        assert f"a: {named}" in shown


@pytest.mark.parametrize(
    ("spacing", "named"),
    [((20.0, 20.0, 20.0), "8,000 times as many"), ((0.001, 0.001, 0.001), "written in metres")],
)
def test_an_image_that_would_be_absurd_at_the_models_spacing_is_refused_before_work(run, tmp_path, spacing, named):
    image = write(tmp_path / "a.nii.gz", voxels(), straight(spacing=spacing))
    fine = write(tmp_path / "b.nii.gz", voxels(), straight())
    (problem,), _ = predict(run, read_inputs([image, fine], ("T1",)), tmp_path / "out")
    assert problem.startswith("a: its ") and named in problem and "trained with" in problem
    assert [path.name for path in (tmp_path / "out").glob("*.nii.gz")] == ["b.nii.gz"]


def test_an_image_that_no_memory_holds_is_refused_with_what_it_needs(run, tmp_path, monkeypatch):
    monkeypatch.setattr("inference.input_check.total_memory", lambda: 10_000)
    image = write(tmp_path / "a.nii.gz", voxels(), straight())
    (problem,), _ = predict(run, read_inputs([image], ("T1",)), tmp_path / "out")
    assert "of memory" in problem and "crop the image" in problem


def channel(normalization, bottom, top):
    """A channel whose training foreground lay between two intensities."""
    foreground = ForegroundIntensity(
        mean=0, sd=1, median=(bottom + top) / 2, percentile_00_5=bottom, percentile_99_5=top
    )
    return Channel(name="A", normalization=normalization, inside_nonzero_mask=False, foreground=foreground)


@pytest.mark.parametrize(
    ("normalization", "low", "high", "warned"),
    [
        # training cases whose scales differ a thousandfold, as in hippocampus40: one of them is not unusual
        ("z_score", 40, 1150, False),
        ("z_score", 1, 20, True),
        ("z_score", 1e6, 1e7, True),
        ("ct", 40, 1150, True),
        ("ct", 31, 200_000, False),
    ],
)
def test_scales_are_judged_by_modality(normalization, low, high, warned):
    image = np.linspace(low, high, 1000, dtype=np.float32).reshape(10, 10, 10)
    assert bool(unusual_intensity(image, channel(normalization, 31, 256_600))) is warned


def test_a_picture_of_unknown_size_is_refused_by_models_of_known_sizes(run, tmp_path):
    flat(run)
    picture = np.random.default_rng(0).integers(0, 200, (24, 26), dtype=np.uint8)
    unknown, known = save(tmp_path / "a.png", picture), save(tmp_path / "b.png", picture, dpi=(25.4, 25.4))
    (problem,), _ = predict(run, read_inputs([unknown], ("T1",)), tmp_path / "out", configuration="2d")
    assert problem.startswith(
        "a: the file states no size of its pixels, and the models were trained with volumes of 1 mm"
    )
    assert "state it in the file" in problem and not list((tmp_path / "out").glob("*.png"))
    problems, _ = predict(run, read_inputs([known], ("T1",)), tmp_path / "out", configuration="2d")
    assert problems == () and (tmp_path / "out" / "b.png").exists()
    both, _ = predict(run, read_inputs([unknown, known], ("T1",)), tmp_path / "out3")
    assert [one.split(";")[0] for one in both] == [
        f"{name}: it has one slice along z, and the models learned from volumes of 18 slices" for name in "ab"
    ]


def test_a_number_has_no_exponent_where_it_can_be_read_without():
    image = np.linspace(1, 20, 1000, dtype=np.float32).reshape(10, 10, 10)
    (told,) = unusual_intensity(image, channel("z_score", 31, 256_600))
    assert told.endswith("those of the training foreground between 31 and 256,600")
