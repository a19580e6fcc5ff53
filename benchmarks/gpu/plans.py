"""Plans that the parts measure: nnU-Net's own for common sizes of cases, and for small cases on a CPU."""

from __future__ import annotations

from dataclasses import dataclass

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.image.geometry import Shape
from autoseg.plan.configuration import Architecture, Configuration
from autoseg.plan.plan import ForegroundIntensity, Plan
from benchmarks.made_data import fingerprint_of_equal_cases
from planner.rules.memory import MEMORY_MODELS
from planner.rules.reference_plan import reference_plan

CASES = 40
NOISE = ForegroundIntensity(mean=0.0, sd=1.0, median=0.0, percentile_00_5=-2.5, percentile_99_5=2.5)


@dataclass(frozen=True)
class Kind:
    """A data set of equal cases of 1 mm, and what is planned for it.

    Args:
        shape: shape (z, y, x) of a case.
        configuration: name of the configuration.
        architecture: architecture of the network.
        channels: number of sequences.
        classes: number of foreground classes.
        batch: number of patches in a batch; None = as planned.
    """

    shape: Shape
    configuration: str = "3d"
    architecture: Architecture = "plain"
    channels: int = 1
    classes: int = 1
    batch: int | None = None


LARGE = {
    "plain 128": Kind((160, 200, 200)),
    "hippocampus": Kind((36, 50, 35), classes=2),
    "resenc_l": Kind((160, 200, 200), architecture="resenc_l"),
    "2d": Kind((40, 512, 512), configuration="2d"),
}
SMALL = {name: Kind((16, 24, 24), LARGE[name].configuration, batch=2) for name in ("hippocampus", "2d")}
"""The same for a CPU, on which this benchmark is only tested."""


def kinds(device: str) -> dict[str, Kind]:
    """Plans to measure on a type of device."""
    return SMALL if device == "cpu" else LARGE


def planned(kind: Kind) -> tuple[Plan, Configuration]:
    """The reference plan of a kind, and the configuration that is measured."""
    memory = MEMORY_MODELS[kind.architecture].memory_gb
    plan = reference_plan(_fingerprint(kind), memory_gb=memory, architecture=kind.architecture).plan
    configuration = plan.configuration(kind.configuration)
    if kind.batch is not None:
        configuration = configuration.changed(batch_size=kind.batch)
        plan = plan.changed(configurations={kind.configuration: configuration})
    return plan, configuration


def _fingerprint(kind: Kind) -> Fingerprint:
    return fingerprint_of_equal_cases(
        "made",
        kind.shape,
        (1.0, 1.0, 1.0),
        cases=[f"case_{i}" for i in range(CASES)],
        channels=[f"sequence_{i}" for i in range(kind.channels)],
        foreground=[f"class_{i}" for i in range(1, kind.classes + 1)],
        volume_mm3=500.0,
        intensity=NOISE,
    )
