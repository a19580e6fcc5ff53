"""A plan with a region: what is planned inside it, what stays the reference, and what later commands make of it."""

from pathlib import Path

import numpy as np
import pytest

import autoseg
from autoseg.dataset.fingerprint import Fingerprint, read_fingerprint, write_fingerprint
from autoseg.errors import PlanError, RunFolderError
from autoseg.image.image import Image, write_image
from autoseg.plan.plan import Plan, read_plan, read_reasons, write_plan
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.preprocessed_case import read_record
from tests.autoseg.commands.stand_ins import install
from tests.autoseg.commands.test_planning_again import SLOW, costs_at
from tests.autoseg.small_dataset import describe, geometry

SHAPE, CASES = (24, 60, 60), 12
BODY = (slice(2, 22), slice(6, 54), slice(4, 56))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    """Bodies in air, each with a small ball in the same corner of it."""
    folder = tmp_path_factory.mktemp("data") / "corners"
    for i in range(CASES):
        rng = np.random.default_rng(i)
        image = np.abs(rng.normal(0, 3, SHAPE))
        image[BODY] = rng.normal(100, 10, image[BODY].shape)
        centre = np.array((8, 20, 18)) + rng.uniform(-2, 2, 3)
        label = (sum((g - c) ** 2 for g, c in zip(np.indices(SHAPE), centre, strict=True)) < 9).astype(np.uint8)
        place = geometry(SHAPE)
        image = (image + 80 * label).astype(np.float32)
        write_image(folder / "imagesTr" / f"ball_{i}_0000.nii.gz", Image(image[None], place))
        write_image(folder / "labelsTr" / f"ball_{i}.nii.gz", Image(label[None], place))
    describe(folder, CASES)
    return folder


@pytest.fixture
def calls(monkeypatch):
    monkeypatch.setattr("trainer.measure.measure_step", costs_at(SLOW))
    return install(monkeypatch, planning=False)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def plan_of(dataset: Path, run: RunFolder, **options) -> Plan:
    options = {"time_budget": "10m", "plan_only": True} | options
    autoseg.plan_and_preprocess(dataset, run.path, device="cpu", workers=1, **options)
    return read_plan(run.plan)


def edited(run: RunFolder, **changes: object) -> None:
    plan = read_plan(run.plan).changed(**changes)
    write_plan(run.plan, plan, read_reasons(run.plan))


def test_with_a_time_budget_images_are_planned_and_preprocessed_within_the_region(calls, dataset, run) -> None:
    plan = plan_of(dataset, run, plan_only=False)
    reference = read_plan(run.reference_plan)
    assert plan.region is not None and reference.region is None
    # the ball lies at one place of the image, within 2 voxels and its own radius of 3
    ends = np.array([plan.region.lower, plan.region.upper]) * SHAPE
    assert (ends[0] < (6, 18, 16)).all() and (ends[1] > (10, 22, 20)).all()
    assert (ends[1] - ends[0] < (15, 19, 19)).all()
    assert np.prod(plan.configurations["3d"].median_shape) < 0.6 * np.prod(reference.configurations["3d"].median_shape)
    assert plan.region.text in read_reasons(run.plan)["region"]
    assert read_reasons(run.reference_plan)["region"] == "whole images, as nnU-Net sees them"
    record = read_record(run.case("3d", "ball_0"))
    assert record.shape == tuple(round(n) for n in plan.configurations["3d"].median_shape)


def test_all_configurations_have_the_same_crop_so_that_they_can_predict_together(calls, dataset, run) -> None:
    plan = plan_of(dataset, run, config=["2d", "3d"], plan_only=False)
    assert plan.region is not None
    crops = {read_record(run.case(name, "ball_3")).crop for name in ("2d", "3d")}
    assert len(crops) == 1 and np.prod(np.diff(np.array(next(iter(crops))), axis=0)) < 0.6 * np.prod(SHAPE)


def test_a_configuration_that_a_part_would_not_have_is_planned_for_whole_images(
    calls, dataset, run, monkeypatch
) -> None:
    from planner.rules import reference_plan

    low, whole = reference_plan.low_resolution, np.prod(SHAPE)

    def of_large_images(full, cases):
        large = np.prod(full.median_shape) == whole
        return full if large else low(full, cases)

    monkeypatch.setattr(reference_plan, "low_resolution", of_large_images)
    plan = plan_of(dataset, run, config="3d_lowres")
    assert plan.region is None
    assert "3d_lowres would not be planned for a part" in read_reasons(run.plan)["region"]


def test_planning_again_stays_within_the_region(calls, dataset, run) -> None:
    before = plan_of(dataset, run, plan_only=False)
    calls.paces = [0.2, 0.2]
    autoseg.run(dataset, run.path, device="cpu", workers=1, time_budget="10m")
    now = read_plan(run.plan)
    assert now.planned_again == ("3d",) and now.region == before.region
    volume = [
        np.prod(p.configurations["3d"].median_shape) * np.prod(p.configurations["3d"].spacing) for p in (before, now)
    ]
    assert volume[1] == pytest.approx(volume[0], rel=0.1)


def test_a_region_that_was_edited_after_training_is_refused_by_name(calls, dataset, run) -> None:
    plan = plan_of(dataset, run, plan_only=False)
    autoseg.train(run.path, fold=0, device="cpu")
    edited(run, region=None)
    with pytest.raises(RunFolderError, match=r"differing: region"):
        autoseg.plan_and_preprocess(dataset, run.path, device="cpu", workers=1, time_budget="10m")
    edited(run, region=plan.region)
    autoseg.train(run.path, fold=1, device="cpu")


def test_cases_of_another_region_are_not_trained_on(calls, dataset, run) -> None:
    plan_of(dataset, run, plan_only=False)
    edited(run, region=None)
    with pytest.raises(RunFolderError, match=r"another plan than plan.yaml now holds \(region, spacing"):
        autoseg.train(run.path, fold=0, device="cpu")


def test_a_region_and_stored_axes_exclude_each_other(calls, dataset, run) -> None:
    plan_of(dataset, run)
    text = run.plan.read_text(encoding="utf-8")
    run.plan.write_text(text.replace("orientation: canonical", "orientation: as_stored"), encoding="utf-8")
    with pytest.raises(PlanError, match="region: lies along canonical axes"):
        read_plan(run.plan)


def without_boxes(fingerprint: Fingerprint) -> Fingerprint:
    cases = tuple(case.changed(body=None, foreground=None) for case in fingerprint.cases)
    return fingerprint.changed(cases=cases)


def test_a_fingerprint_of_an_earlier_release_is_measured_anew_where_nothing_is_trained(calls, dataset, run) -> None:
    plan_of(dataset, run)
    whole = read_fingerprint(run.fingerprint)
    write_fingerprint(run.fingerprint, without_boxes(whole))
    assert plan_of(dataset, run, replan=True).region is not None
    assert read_fingerprint(run.fingerprint) == whole


def test_models_of_an_earlier_release_keep_their_fingerprint(calls, dataset, run) -> None:
    plan_of(dataset, run, plan_only=False)
    edited(run, region=None)
    before = without_boxes(read_fingerprint(run.fingerprint))
    write_fingerprint(run.fingerprint, before)
    autoseg.plan_and_preprocess(dataset, run.path, device="cpu", workers=1, time_budget="10m")
    autoseg.train(run.path, fold=0, device="cpu")
    write_fingerprint(run.fingerprint, before)
    autoseg.plan_and_preprocess(dataset, run.path, device="cpu", workers=1, time_budget="10m")
    assert read_fingerprint(run.fingerprint) == before
