"""Row: time of one training step with the same network, patch and batch.

autoseg's reference plan equals nnU-Net's plan. Both train on random patches: forward and backward pass with deep
supervision, loss, clipped gradients, SGD with Nesterov momentum; autoseg's step also averages the weights where its
plan says so. autoseg and nnU-Net take turns, and each round gives the median of its steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import Any

from autoseg.plan.configuration import Configuration
from autoseg.plan.plan import Plan, read_plan
from benchmarks.beside.bench import Bench
from benchmarks.beside.figures import Figure, number_types
from trainer.measure import measure_step

# a step of the plan for abdomen20 takes a minute
ROUNDS = {"hippocampus40": 5, "abdomen20": 1}
STEPS = 3
ITERATIONS_AN_EPOCH = 250  # of nnU-Net


def figures(bench: Bench, name: str) -> list[Figure]:
    """Seconds per step on the data set `name`."""
    theirs_at = bench.preprocessed_by_rival(name)
    plan = read_plan(bench.planned(name).reference_plan)
    configuration = plan.configuration("3d")
    ours, theirs = [], []
    for _ in range(ROUNDS[name]):
        ours.append(measure_step(plan, configuration, device="cpu", steps=STEPS, enough_seconds=math.inf).seconds)
        told = bench.rival.ask(
            "training_step", [theirs_at / "nnUNetPlans.json", theirs_at / "dataset.json", str(STEPS)]
        )
        require_the_same(plan, configuration, told)
        theirs.append(median(told["seconds"]))
    size = "×".join(map(str, configuration.patch_size))
    found = Figure(
        what="training step of the same network, s",
        dataset=name,
        ours=tuple(ours),
        theirs=tuple(theirs),
        better="less",
        goal="1.3×",
        note=f"patch {size}, batch {configuration.batch_size}, {configuration.network.features[0]} features; "
        f"{number_types(learning=True)}; an epoch of nnU-Net would take {epoch_hours(theirs):.2f} h",
    )
    return [found]


def epoch_hours(seconds: Sequence[float]) -> float:
    """Hours of an epoch of nnU-Net without validation, computed from seconds per training step."""
    return ITERATIONS_AN_EPOCH * median(seconds) / 3600


def require_the_same(plan: Plan, configuration: Configuration, told: dict[str, Any]) -> None:
    """Raise an error unless both trained with the same patch size and batch size.

    Args:
        plan: autoseg's reference plan.
        configuration: configuration of that plan.
        told: nnU-Net's answer, with its patch and batch size.

    Raises:
        ValueError: patch or batch size differ.
    """
    ours = sorted(configuration.patch_size), configuration.batch_size
    theirs = sorted(told["patch"]), told["batch"]
    if ours != theirs:
        raise ValueError(f"autoseg's reference plan has patch and batch {ours}, nnU-Net's plan {theirs}")
