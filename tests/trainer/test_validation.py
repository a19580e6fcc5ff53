"""The last validation of a fold: in sequence and overlapping, and with too little memory."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from autoseg.errors import OutOfMemory, RunFolderError
from autoseg.image.labels import LabelRegion, Labels
from autoseg.machine import overlap
from autoseg.network.build import network_by_plan
from autoseg.plan.plan import read_plan
from autoseg.run_folder.preprocessed_case import read_record
from trainer import validation
from trainer.validation import dice_at_plan_spacing, evaluation_network, predict_validation_cases

CPU = torch.device("cpu")
ALWAYS, NEVER = frozenset({"cpu"}), frozenset()
"""Types of devices beside which parts overlap."""

CASES = tuple(f"ball_{i}" for i in range(4))


@pytest.fixture
def a_run(tiny_run):
    run = tiny_run()
    plan = read_plan(run.plan)
    torch.manual_seed(3)
    weights = network_by_plan(plan, plan.configuration("3d")).state_dict()
    return run, plan, evaluation_network(plan, plan.configuration("3d"), weights, CPU)


def written(run):
    return {file.name: file.read_bytes() for file in sorted(run.cross_validation("3d").rglob("*")) if file.is_file()}


def test_overlapping_writes_what_is_written_in_sequence(a_run, monkeypatch) -> None:
    run, plan, network = a_run
    found = {}
    for way, types in (("sequence", NEVER), ("overlap", ALWAYS)):
        monkeypatch.setattr(overlap, "OVERLAPPING", types)
        found[way] = predict_validation_cases(run, plan, "3d", CASES, network, CPU), written(run)
    assert list(found["overlap"][0]) == list(CASES)
    assert found["overlap"] == found["sequence"]
    assert len(found["overlap"][1]) == 3 * len(CASES), "label map, probabilities and their record"


@pytest.mark.parametrize("types", [ALWAYS, NEVER])
def test_a_damaged_case_stops_it_after_those_before(a_run, monkeypatch, types) -> None:
    run, plan, network = a_run
    monkeypatch.setattr(overlap, "OVERLAPPING", types)
    (run.case("3d", "ball_2") / "case.json").write_text("{}", encoding="utf-8")
    with pytest.raises(RunFolderError, match="ball_2"):
        predict_validation_cases(run, plan, "3d", CASES, network, CPU)
    maps = sorted(file.name for file in run.cross_validation("3d").glob("*.nii.gz"))
    assert maps == ["ball_0.nii.gz", "ball_1.nii.gz"]


def test_where_only_one_window_fits_the_result_is_the_same(a_run, monkeypatch) -> None:
    run, plan, network = a_run
    expected = predict_validation_cases(run, plan, "3d", CASES, network, CPU), written(run)
    monkeypatch.setattr("autoseg.whole_image.prepared_case.windows_at_once", lambda *arguments: 4)
    shown, forward = [], network.forward

    def one_at_most(patches):
        shown.append(len(patches))
        if len(patches) > 1:
            raise RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")
        return forward(patches)

    monkeypatch.setattr(network, "forward", one_at_most)
    assert (predict_validation_cases(run, plan, "3d", CASES, network, CPU), written(run)) == expected
    assert shown[:3] == [4, 2, 1]


def test_where_nothing_fits_an_error_tells_the_device(a_run, monkeypatch) -> None:
    run, plan, network = a_run

    def lacking(_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 5.00 GiB.")

    monkeypatch.setattr(network, "forward", lacking)
    with pytest.raises(
        OutOfMemory, match=r"device cpu \(.*\): .* one window of 8 × 12 × 12 voxels with 2 classes .*5.00"
    ):
        predict_validation_cases(run, plan, "3d", CASES, network, CPU)


def test_the_bytes_of_a_case_follow_from_its_record(a_run, monkeypatch) -> None:
    run, plan, network = a_run
    asked = []
    monkeypatch.setattr(overlap, "OVERLAPPING", ALWAYS)
    monkeypatch.setattr(validation, "case_bytes", lambda *arguments: asked.append(arguments) or 1)
    predict_validation_cases(run, plan, "3d", CASES, network, CPU)
    voxels = math.prod(read_record(run.case("3d", "ball_0")).shape)
    assert asked == [(voxels, (voxels,), 1, 2)] * len(CASES)


@pytest.mark.parametrize("overlapping", [False, True])
def test_during_training_ignored_voxels_do_not_count(a_run, monkeypatch, overlapping) -> None:
    run, plan, network = a_run
    regions = (LabelRegion(name="ball", values=(5,), value=5),)
    labels = Labels(values=(0, 5), names=("background", "ball"), regions=regions if overlapping else (), ignore=6)
    folder = run.case("3d", CASES[0])
    shape = read_record(folder).shape
    random = np.random.default_rng(0)
    reference, foreground = random.integers(0, 3, shape).astype(np.uint8), random.random((1, *shape))
    probabilities = foreground if overlapping else np.concatenate([1 - foreground, foreground])
    case = validation.open_case(folder)
    monkeypatch.setattr(validation, "open_case", lambda _: replace(case, label=reference))
    monkeypatch.setattr(validation, "predict_prepared_case", lambda *_, **__: probabilities)
    found = dice_at_plan_spacing(network, [folder], plan.changed(labels=labels), plan.configuration("3d"), CPU)
    kept, predicted = reference != 2, foreground[0] > 0.5
    both = (predicted & (reference == 1)).sum()
    assert found == pytest.approx(2 * both / ((predicted & kept).sum() + (reference == 1).sum()))
