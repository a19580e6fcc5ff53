"""The reference plan equals nnU-Net's for every fingerprint in plans_reference.json."""

import json
import math
from pathlib import Path

import pytest

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.errors import PlanError
from autoseg.plan.configuration import Architecture, Configuration
from planner.rules.reference_plan import PlannedDecisions, reference_plan, require_planned
from tests.planner.fingerprints import fingerprint

ARCHITECTURES: tuple[Architecture, ...] = ("plain", "resenc_m")
OUR_NAME = {"2d": "2d", "3d_fullres": "3d", "3d_lowres": "3d_lowres"}


def fingerprint_of(name: str, entry: dict) -> Fingerprint:
    """The fingerprint that an entry of the file describes; what it leaves out does not touch these decisions."""
    assert len(entry["spacings"]) == entry["n_cases"]
    return fingerprint(
        entry["spacings"],
        entry["shapes"],
        name=name,
        modalities=("ct" if entry["modality"] == "CT" else "other",) * entry["channels"],
        classes=entry["labels"],
    )


def in_planned_order(values: tuple, order: list[int], axes: int) -> list:
    """Values (z, y, x) in nnU-Net's axis order; the first, the slice axis, is left out for two axes."""
    return [values[axis] for axis in order][3 - axes :]


def differences(ours: Configuration, reference: dict, order: list[int]) -> list[str]:
    """Every field in which a configuration differs from the reference's."""
    axes = len(reference["patch_size"])
    network = ours.network
    exact = {
        "patch_size": in_planned_order(ours.patch_size, order, axes),
        "batch_size": ours.batch_size,
        "features": list(network.features),
        "strides": [in_planned_order(stride, order, axes) for stride in network.strides],
        "kernel_sizes": [in_planned_order(kernel, order, axes) for kernel in network.kernel_sizes],
        "median_shape": in_planned_order(ours.median_shape, order, axes),
    }
    found = [f"{key}: {value} is not {reference[key]}" for key, value in exact.items() if value != reference[key]]
    spacing = in_planned_order(ours.spacing, order, axes)
    if not all(math.isclose(a, b, rel_tol=1e-6) for a, b in zip(spacing, reference["spacing"], strict=True)):
        found.append(f"spacing: {spacing} is not {reference['spacing']}")
    return found


def slice_axis_differences(ours: Configuration, slice_axis: int) -> list[str]:
    """What is not flat along the slice axis of a 2D configuration."""
    lengths = {ours.patch_size[slice_axis]}
    lengths |= {s[slice_axis] for s in (*ours.network.strides, *ours.network.kernel_sizes)}
    flat = ours.slice_axis == slice_axis and lengths == {1} and ours.spacing[slice_axis] is None
    return [] if flat else [f"2d is not flat along axis {slice_axis}: {ours}"]


def problems(entry: dict, architecture: Architecture, planned: PlannedDecisions) -> list[str]:
    """Every difference from the reference's decisions for one architecture."""
    reference = dict(entry["nnunet"][architecture])
    order = reference.pop("transpose_forward")
    plan = planned.plan
    found = [] if list(plan.transpose_forward) == order else [f"order {plan.transpose_forward} is not {order}"]
    names = {OUR_NAME[name] for name in reference}
    if set(plan.configurations) != names:
        return [*found, f"configurations {set(plan.configurations)} are not {names}"]
    for name, expected in reference.items():
        ours = plan.configurations[OUR_NAME[name]]
        found += [f"{name}: {text}" for text in differences(ours, expected, order)]
    return found + slice_axis_differences(plan.configurations["2d"], order[0])


def all_problems(path: Path) -> list[str]:
    """Every difference from every decision in a file of fingerprints and nnU-Net's plans for them."""
    entries = json.loads(path.read_text(encoding="utf-8"))
    assert entries
    found = []
    for name, entry in entries.items():
        measured = fingerprint_of(name, entry)
        for architecture in entry["nnunet"]:
            planned = reference_plan(measured, memory_gb=entry["memory_gb"], architecture=architecture)
            found += [f"{name}, {architecture}: {text}" for text in problems(entry, architecture, planned)]
    return found


def test_plans_equal_nnunets(test_data: Path) -> None:
    path = test_data / "plans_reference.json"
    for name, entry in json.loads(path.read_text(encoding="utf-8")).items():
        assert set(entry["nnunet"]) >= set(ARCHITECTURES), name
    found = all_problems(path)
    assert not found, "\n".join(found)


def test_plans_equal_nnunets_in_unusual_cases() -> None:
    """Ties, thin slabs, tiny images, single slices, little and much memory, the larger presets.

    The decisions in `nnunet_plans.json` are those that the planners of nnU-Net 2.8.1 made when run on
    these made-up fingerprints.
    """
    found = all_problems(Path(__file__).with_name("nnunet_plans.json"))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_field_has_a_reason(test_data: Path, architecture: Architecture) -> None:
    entries = json.loads((test_data / "plans_reference.json").read_text(encoding="utf-8"))
    entry = entries["liver_like"]
    planned = reference_plan(fingerprint_of("liver_like", entry), memory_gb=8, architecture=architecture)
    assert missing_reasons(planned) == []
    assert all(len(reason.split()) > 1 or "nnU-Net" in reason for reason in planned.reasons.values())


def missing_reasons(planned: PlannedDecisions) -> list[str]:
    """Dotted paths of fields of the plan that have no reason."""

    def walk(node: object, path: str) -> list[str]:
        if path in planned.reasons or path == "schema_version":
            return []
        if isinstance(node, dict):
            return [missing for key, value in node.items() for missing in walk(value, f"{path}.{key}".lstrip("."))]
        return [path]

    return walk(planned.plan.model_dump(mode="json"), "")


def test_planning_is_pure(test_data: Path) -> None:
    entry = json.loads((test_data / "plans_reference.json").read_text(encoding="utf-8"))["prostate_like"]
    measured = fingerprint_of("prostate_like", entry)
    assert reference_plan(measured) == reference_plan(measured.model_copy(deep=True))


def test_single_slices_get_a_2d_configuration_only() -> None:
    plan = reference_plan(fingerprint([(999, 0.5, 0.5)] * 4, [(1, 300, 400)] * 4)).plan
    assert set(plan.configurations) == {"2d"}
    assert plan.configurations["2d"].slice_axis == 0


def test_images_one_voxel_thick_are_planned_over_their_own_plane() -> None:
    # the spacing across the plane is what a format without it makes up, finer than within it
    plan = reference_plan(fingerprint([(1.1, 1, 1.1)] * 4, [(300, 1, 400)] * 4)).plan
    assert plan.configurations["2d"].slice_axis == 1
    assert plan.configurations["2d"].patch_size[1] == 1 < min(plan.configurations["2d"].patch_size[::2])
    require_planned(plan, ["2d"])
    with pytest.raises(PlanError, match=r"'3d' cannot be used: most images are one voxel thick along y; add --config"):
        require_planned(plan, ["2d", "3d"])


def test_a_coarser_network_that_the_rules_do_not_plan_is_refused_with_the_reason() -> None:
    plan = reference_plan(fingerprint([(1, 1, 1)] * 4, [(30, 30, 30)] * 4)).plan
    with pytest.raises(PlanError, match="3d sees enough of a case"):
        require_planned(plan, ["3d_lowres"])
    with pytest.raises(PlanError, match="'4d' is not planned; planned are 2d, 3d"):
        require_planned(plan, ["4d"])


@pytest.mark.parametrize("memory_gb", [0.0, -1.0, 1e-6])
def test_a_memory_target_that_nothing_fits_is_refused(memory_gb: float) -> None:
    measured = fingerprint([(1, 1, 1)] * 4, [(100, 100, 100)] * 4)
    with pytest.raises(PlanError, match="--memory"):
        reference_plan(measured, memory_gb=memory_gb)


def test_a_fingerprint_without_cases_is_refused() -> None:
    with pytest.raises(PlanError, match="no cases"):
        reference_plan(fingerprint([], []))


@pytest.mark.parametrize("architecture", ["plain", "resenc_m", "resenc_l", "resenc_xl"])
def test_more_memory_never_plans_a_smaller_batch_volume(architecture: Architecture) -> None:
    measured = fingerprint([(3, 0.8, 0.9)] * 30, [(60, 400, 380)] * 30)
    volumes = []
    for memory_gb in (4, 8, 16, 32):
        ours = reference_plan(measured, memory_gb=memory_gb, architecture=architecture).plan.configurations["3d"]
        volumes.append(math.prod(ours.patch_size) * ours.batch_size)
    assert volumes == sorted(volumes)
    assert volumes[0] < volumes[-1]


def test_dice_is_pooled_where_a_patch_sees_little_of_a_case() -> None:
    small = reference_plan(fingerprint([(1, 1, 1)] * 9, [(60, 60, 60)] * 9)).plan.configurations
    assert {name: c.training.batch_dice for name, c in small.items()} == {"2d": True, "3d": False}
    large = reference_plan(fingerprint([(1, 1, 1)] * 9, [(400, 400, 400)] * 9)).plan.configurations
    assert {name: c.training.batch_dice for name, c in large.items()} == {"2d": True, "3d": True, "3d_lowres": False}
