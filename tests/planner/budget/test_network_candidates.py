"""Cheaper configurations: what is given up, in which order, and what is never given up."""

import math
from itertools import pairwise

import pytest

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.image.geometry import Shape, Spacing
from autoseg.plan.configuration import Configuration
from autoseg.plan.decision import WithReasons
from planner.budget.cost import multiply_adds
from planner.budget.network_candidates import (
    VOXELS_ACROSS,
    VOXELS_ACROSS_A_LESION,
    WIDE,
    Candidate,
    candidates,
    coarsest_spacing,
    narrowed,
)
from planner.rules.reference_plan import reference_plan
from tests.planner.fingerprints import fingerprint
from tests.planner.structures import with_structures

# spacing in mm, shape in voxels, diameter in mm of the only structure
DATASETS: dict[str, tuple[Spacing, Shape, float]] = {
    "small and isotropic": ((1.0, 1.0, 1.0), (36, 50, 35), 25.0),
    "thick slices": ((5.0, 1.2, 1.2), (40, 256, 256), 60.0),
    "sagittal slices": ((0.6, 0.6, 4.0), (320, 300, 18), 12.0),
    "nearly isotropic": ((1.6, 1.0, 1.0), (100, 200, 200), 40.0),
    "large, of a large organ": ((1.0, 0.77, 0.77), (430, 512, 512), 150.0),
}
NAMES = ("2d", "3d")


def ball(diameter: float) -> float:
    """Volume of a ball."""
    return math.pi / 6 * diameter**3


def dataset(name: str, **structures: list[float]) -> Fingerprint:
    """Three equal cases; one ball of the data set's diameter unless other structures are given."""
    spacing, shape, diameter = DATASETS[name]
    return with_structures(fingerprint([spacing] * 3, [shape] * 3), structures or {"organ": [ball(diameter)]})


def reference(measured: Fingerprint, name: str) -> Configuration:
    """The reference configuration of that name."""
    return reference_plan(measured).plan.configurations[name]


def candidates_of(measured: Fingerprint, name: str) -> list[Candidate]:
    """All candidates of a configuration."""
    return list(candidates(reference(measured, name), measured))


def width(candidate: Candidate) -> int:
    """Number of features at the first stage."""
    return candidate.value.network.features[0]


def coarsening(candidate: Candidate, ref: Configuration) -> float:
    """Largest factor by which an axis is coarser than in the reference."""
    axes = zip(candidate.value.spacing, ref.spacing, strict=True)
    return max(ours / theirs for ours, theirs in axes if ours is not None and theirs is not None)


@pytest.fixture(params=[(d, n) for d in DATASETS for n in NAMES], ids=lambda p: f"{p[0]}, {p[1]}")
def found(request: pytest.FixtureRequest) -> tuple[Fingerprint, Configuration, list[Candidate]]:
    measured = dataset(request.param[0])
    return measured, reference(measured, request.param[1]), candidates_of(measured, request.param[1])


@pytest.mark.parametrize("diameter", [3.0, 12.0, 80.0])
def test_the_smallest_structure_decides(diameter: float) -> None:
    measured = dataset("small and isotropic", organ=[ball(diameter)], larger=[ball(100)])
    assert coarsest_spacing(measured) == pytest.approx(diameter / VOXELS_ACROSS)


def test_the_largest_component_is_the_structure_where_the_rest_is_debris() -> None:
    # crumbs of under eight voxels are neither pieces nor structures
    measured = dataset("small and isotropic", organ=[ball(30), 5.0, 2.0, 1.0, 1.0])
    assert coarsest_spacing(measured) == pytest.approx(30 / VOXELS_ACROSS)


def test_of_lesions_a_small_one_decides_with_fewer_voxels_across() -> None:
    lesions = [ball(d) for d in (18, 14, 12, 10, 8, 6, 5)]
    measured = dataset("small and isotropic", organ=[ball(60)], lesion=lesions)
    assert 6 <= coarsest_spacing(measured) * VOXELS_ACROSS_A_LESION <= 10
    # the same lesions and debris of a few voxels
    with_debris = dataset("small and isotropic", organ=[ball(60)], lesion=[*lesions, *[3.0] * 50])
    assert coarsest_spacing(with_debris) == pytest.approx(coarsest_spacing(measured))
    # an organ of twelve voxels across is no coarser for the lesions in it
    with_organ = dataset("small and isotropic", organ=[ball(14)], lesion=lesions)
    assert coarsest_spacing(with_organ) == pytest.approx(14 / VOXELS_ACROSS)


def test_what_ignored_voxels_cut_counts_together_beside_a_whole_speck() -> None:
    measured = dataset("small and isotropic", organ=[ball(30)])
    cut = [case.classes["organ"].changed(components_mm3=(2.0,)) for case in measured.cases]
    beside_a_speck = measured.changed(
        cases=tuple(case.changed(classes={"organ": one}) for case, one in zip(measured.cases, cut, strict=True))
    )
    largest = (6 / math.pi * (ball(30) - 2.0)) ** (1 / 3)
    assert coarsest_spacing(beside_a_speck) == pytest.approx(largest / VOXELS_ACROSS)


def test_a_class_of_which_ignored_voxels_cut_every_component_counts_together() -> None:
    measured = dataset("small and isotropic", organ=[ball(30)])
    cases = [
        case.changed(classes={"organ": case.classes["organ"].changed(components_mm3=())}) for case in measured.cases
    ]
    assert coarsest_spacing(measured.changed(cases=tuple(cases))) == pytest.approx(30 / VOXELS_ACROSS)


def test_classes_that_no_case_has_do_not_count() -> None:
    measured = dataset("small and isotropic", organ=[ball(30)], never=[])
    assert coarsest_spacing(measured) == pytest.approx(30 / VOXELS_ACROSS)
    assert coarsest_spacing(dataset("small and isotropic", never=[])) == 0


def test_no_structure_at_all_keeps_the_resolution() -> None:
    measured = dataset("thick slices", never=[])
    assert {coarsening(c, reference(measured, "3d")) for c in candidates_of(measured, "3d")} == {1.0}


def test_every_candidate_is_a_valid_configuration(
    found: tuple[Fingerprint, Configuration, list[Candidate]],
) -> None:
    _, _, listed = found
    assert listed
    for candidate in listed:
        # a copy with changed fields is not validated by itself; this checks that strides divide the patch
        configuration = candidate.value
        assert Configuration.model_validate(configuration.model_dump()) == configuration
        for axis in range(3):
            assert configuration.patch_size[axis] % math.prod(s[axis] for s in configuration.network.strides) == 0


def test_width_goes_first_then_resolution_then_width_again(
    found: tuple[Fingerprint, Configuration, list[Candidate]],
) -> None:
    _, ref, listed = found
    features, coarser = [width(c) for c in listed], [coarsening(c, ref) for c in listed]
    assert features == sorted(features, reverse=True)
    assert coarser == sorted(coarser)
    narrowest_wide = WIDE[-1]
    assert all(factor == 1 for factor, wide in zip(coarser, features, strict=True) if wide > narrowest_wide)
    narrow = {factor for factor, wide in zip(coarser, features, strict=True) if wide < narrowest_wide}
    assert narrow == {max(coarser)}
    assert min(features) < narrowest_wide
    for candidate, factor in zip(listed, coarser, strict=True):
        assert candidate.reasons["network.features"].startswith(f"{width(candidate)} at the first stage")
        assert (f"a factor of {factor:.2f}" in candidate.reasons["spacing"]) == (factor > 1)


def test_convolutions_are_spared_before_width_and_width_before_the_patch(
    found: tuple[Fingerprint, Configuration, list[Candidate]],
) -> None:
    _, ref, listed = found
    first, *others = listed
    assert first.value.network.decoder_blocks == ref.network.decoder_blocks
    for candidate in others:
        assert set(candidate.value.network.decoder_blocks) == {1}
        assert candidate.value.network.encoder_blocks[0] == 1
    wide = [c for c in others if width(c) > WIDE[-1]]
    assert len({c.value.patch_size for c in (first, *wide)}) == 1
    costs = [multiply_adds(c.value.network, c.value.patch_size, 1, 2) for c in (first, *wide)]
    assert costs == sorted(costs, reverse=True)


def test_patches_of_one_width_and_resolution_get_cheaper(
    found: tuple[Fingerprint, Configuration, list[Candidate]],
) -> None:
    _, ref, listed = found
    for before, after in pairwise(listed):
        if (width(before), before.value.spacing) != (width(after), after.value.spacing):
            continue
        if before.value.network.decoder_blocks[0] != after.value.network.decoder_blocks[0]:
            continue
        first, second = before.value, after.value
        assert math.prod(second.patch_size) < math.prod(first.patch_size)
        # a patch of which an axis can be halved once less may cost a little more than the larger one before it
        work = [multiply_adds(c.network, c.patch_size, 1, 2) * c.batch_size for c in (first, second)]
        poolings = [sum(n > 1 for stride in c.network.strides for n in stride) for c in (first, second)]
        assert work[1] < work[0] or poolings[1] < poolings[0]
    assert all(math.prod(c.value.patch_size) <= math.prod(ref.patch_size) for c in listed)
    assert all(c.value.batch_size <= ref.batch_size for c in listed)


def test_resolution_is_given_up_as_far_as_the_structure_stays_resolved(
    found: tuple[Fingerprint, Configuration, list[Candidate]],
) -> None:
    measured, ref, listed = found
    coarsest = coarsest_spacing(measured)
    original = ref.target_spacing(measured.cases[0].spacing)
    for candidate in listed:
        spacing = candidate.value.target_spacing(measured.cases[0].spacing)
        for before, after in zip(original, spacing, strict=True):
            assert after >= before * (1 - 1e-9)
            assert after == pytest.approx(before) or after <= coarsest
    assert max(coarsening(c, ref) for c in listed) > 1, "these structures are large enough for coarser voxels"


@pytest.mark.parametrize("name", NAMES)
def test_structures_that_are_barely_resolved_keep_the_resolution(name: str) -> None:
    measured = dataset("nearly isotropic", lesion=[ball(VOXELS_ACROSS)])
    listed = candidates_of(measured, name)
    assert {coarsening(c, reference(measured, name)) for c in listed} == {1.0}
    assert {c.value.spacing for c in listed} == {reference(measured, name).spacing}


def test_thick_slices_are_not_made_thicker_before_the_plane_is_as_coarse() -> None:
    for candidate in candidates_of(dataset("thick slices"), "3d"):
        z, y, x = candidate.value.target_spacing((5.0, 1.2, 1.2))
        assert z == 5.0
        assert y == x


@pytest.mark.parametrize(("name", "slice_axis"), [("thick slices", 0), ("sagittal slices", 2)])
def test_2d_candidates_stay_flat(name: str, slice_axis: int) -> None:
    listed = candidates_of(dataset(name), "2d")
    assert len({c.value.spacing for c in listed}) > 1
    for candidate in listed:
        configuration = candidate.value
        network = configuration.network
        assert configuration.slice_axis == slice_axis
        assert configuration.spacing[slice_axis] is None
        lengths = {configuration.patch_size[slice_axis]}
        lengths |= {shape[slice_axis] for shape in (*network.strides, *network.kernel_sizes)}
        assert lengths == {1}
        assert sum(n > 1 for n in configuration.patch_size) == 2


def test_median_shape_is_the_cases_at_the_candidates_spacing(
    found: tuple[Fingerprint, Configuration, list[Candidate]],
) -> None:
    measured, ref, listed = found
    case = measured.cases[0]
    for candidate in listed:
        configuration = candidate.value
        spacing = configuration.target_spacing(case.spacing)
        planned = [axis for axis in range(3) if axis != ref.slice_axis]
        for axis in planned:
            voxels = case.cropped_shape[axis] * case.spacing[axis] / spacing[axis]
            assert abs(configuration.median_shape[axis] - voxels) <= 0.51
        patch, median = ([s[a] for a in planned] for s in (configuration.patch_size, configuration.median_shape))
        share = math.prod(patch) / math.prod(median)
        assert candidate.reasons["patch_size"] == f"sees {min(share, 1):.0%} of the median case"


def test_small_structures_in_large_images_have_candidates_too() -> None:
    measured = dataset("large, of a large organ", lesion=[ball(VOXELS_ACROSS / 2)])
    ref = reference(measured, "3d")
    assert math.prod(ref.patch_size) < 0.25 * math.prod(ref.median_shape)
    assert candidates_of(measured, "3d")


def test_narrowed_doubles_from_stage_to_stage_to_a_limit() -> None:
    network = WithReasons(reference(dataset("thick slices"), "3d").network)
    narrow = narrowed(network, 12)
    assert narrow.value.features[:4] == (12, 24, 48, 96)
    assert len(narrow.value.features) == len(network.value.features)
    assert narrowed(network, 320).value.features == (320,) * len(network.value.features)
    assert narrow.value.strides == network.value.strides
