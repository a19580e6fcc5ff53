"""What a GPU trains within a budget, on a machine whose step costs what the network's multiply-adds say."""

import math

import pytest

from planner.budget.candidate_chooser import ENOUGH_STEPS_ON_GPU
from planner.budget.gpu_candidates import candidates_on_gpu
from planner.budget.network_candidates import LEAST_SHARE_SEEN
from planner.rules.reference_plan import reference_plan
from tests.planner.machine import DATASETS, HOUR, Machine, dataset, fit
from tests.planner.structures import with_structures

FAST = 3e14


@pytest.mark.parametrize("name", ["2d", "3d"])
@pytest.mark.parametrize("data", DATASETS)
def test_the_reference_comes_first_and_then_its_patch_yields(data: str, name: str) -> None:
    measured = dataset(data)
    reference = reference_plan(measured).plan.configurations[name]
    found = [candidate.value for candidate in candidates_on_gpu(reference, measured)]
    assert found[0] == reference
    # those of a CPU follow, which have fewer convolutions, and smaller batches in 2D
    whole = reference.batch_size, reference.network.decoder_blocks[0]
    with_all = [c for c in found if (c.batch_size, c.network.decoder_blocks[0]) == whole]
    voxels = [math.prod(c.patch_size) for c in with_all]
    assert voxels == sorted(voxels, reverse=True)
    for c in with_all[1:]:
        seen = [n / m for n, m in zip(c.patch_size, c.median_shape, strict=True)]
        assert math.prod(seen if name == "3d" else seen[1:]) >= LEAST_SHARE_SEEN
        assert c.spacing == reference.spacing
    assert found.count(reference) == 1


def test_where_five_thousand_steps_fit_the_plan_is_nnunets_with_mirroring() -> None:
    measured = dataset("isotropic")
    reference = reference_plan(measured)
    full = reference.plan.configurations["3d"]
    plan = fit(measured, Machine(speed=FAST), 24 * HOUR, device="cuda", reference=reference).plan
    taken = plan.configurations["3d"]
    assert (taken.patch_size, taken.batch_size, taken.network) == (full.patch_size, full.batch_size, full.network)
    assert taken.training.iterations >= ENOUGH_STEPS_ON_GPU
    assert taken.training.mirror == taken.prediction.mirror == (0, 1, 2)


def test_with_less_time_the_patch_yields_and_not_the_batch() -> None:
    measured = dataset("thick slices")
    reference = reference_plan(measured)
    full = reference.plan.configurations["3d"]
    seconds = Machine(speed=FAST).cost(reference.plan, full).seconds
    # time for about four thousand steps of the reference plan in each of five folds
    plan = fit(measured, Machine(speed=FAST), 5 * 4000 * seconds, device="cuda", reference=reference).plan
    taken = plan.configurations["3d"]
    assert math.prod(taken.patch_size) < math.prod(full.patch_size)
    assert taken.batch_size == full.batch_size and taken.network.features[0] == full.network.features[0]
    assert taken.spacing == full.spacing


def test_sides_are_not_mirrored_on_a_gpu_either() -> None:
    measured = with_structures(dataset("isotropic"), {"left kidney": [1000.0], "right kidney": [1000.0]})
    taken = fit(measured, Machine(speed=FAST), 24 * HOUR, device="cuda").plan.configurations["3d"]
    assert 2 not in taken.training.mirror and 2 not in taken.prediction.mirror and 1 in taken.training.mirror
