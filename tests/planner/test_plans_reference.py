"""The reference plan equals nnU-Net's for every fingerprint in plans_reference.json."""

import json
import math
from pathlib import Path

import pytest

from autoseg.fingerprint import CaseFingerprint, Fingerprint
from autoseg.labels import Labels
from autoseg.plan import Architecture, Configuration, ForegroundIntensity
from planner.reference import PlannedDecisions, reference_plan

ARCHITECTURES: tuple[Architecture, ...] = ("plain", "resenc_m")
OUR_NAME = {"2d": "2d", "3d_fullres": "3d", "3d_lowres": "3d_lowres"}


def fingerprint_of(name: str, entry: dict) -> Fingerprint:
    """The fingerprint that an entry of the file describes; what it leaves out does not touch these decisions."""
    cases = tuple(
        CaseFingerprint(
            case=f"{name}_{i}",
            shape=shape,
            cropped_shape=shape,
            spacing=spacing,
            orientation="SPL",
            present=(True,) * entry["channels"],
            classes={},
        )
        for i, (spacing, shape) in enumerate(zip(entry["spacings"], entry["shapes"], strict=True))
    )
    assert len(cases) == entry["n_cases"]
    intensity = ForegroundIntensity(mean=0, sd=1, median=0, percentile_00_5=-1, percentile_99_5=1)
    return Fingerprint(
        dataset=name,
        channels=tuple(f"channel {i}" for i in range(entry["channels"])),
        modality=("ct" if entry["modality"] == "CT" else "other",) * entry["channels"],
        labels=Labels(values=tuple(range(entry["labels"])), names=tuple(f"class {i}" for i in range(entry["labels"]))),
        intensities=(intensity,) * entry["channels"],
        median_relative_size_after_crop=1.0,
        cases=cases,
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


def test_plans_equal_nnunets(test_data: Path) -> None:
    entries = json.loads((test_data / "plans_reference.json").read_text(encoding="utf-8"))
    assert entries
    found = []
    for name, entry in entries.items():
        fingerprint = fingerprint_of(name, entry)
        for architecture in ARCHITECTURES:
            planned = reference_plan(fingerprint, memory_gb=entry["memory_gb"], architecture=architecture)
            found += [f"{name}, {architecture}: {text}" for text in problems(entry, architecture, planned)]
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
