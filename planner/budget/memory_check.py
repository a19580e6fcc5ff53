"""Check whether a configuration of the reference plan fits into memory, and lower it where it does not.

In: the plan and a function that measures a training step. Out: the configuration with a smaller batch or patch, and the
reason.
"""

from __future__ import annotations

import math

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.errors import PlanError
from autoseg.machine.step_cost import Measure
from autoseg.plan.configuration import Configuration
from autoseg.plan.decision import Decision, WithReasons
from autoseg.plan.plan import Plan
from planner.budget.network_candidates import smaller_patches


def fitting(plan: Plan, name: str, fingerprint: Fingerprint, measure: Measure) -> WithReasons[Configuration]:
    """The configuration with the largest batch or patch that fits into memory; as it is where it fits.

    The batch size is lowered first, then the patch size. Forward and backward passes are measured to know what fits.

    Args:
        plan: plan that holds the configuration and the memory target.
        name: name of the configuration in the plan, such as `3d`.
        fingerprint: fingerprint of the data set.
        measure: function that measures the memory of a training step.

    Raises:
        PlanError: not even the smallest patch fits.
    """
    reference = plan.configurations[name]
    if _fits(plan, reference, measure):
        return WithReasons(reference)
    if reference.batch_size > 1 and _fits(plan, _with_batch(reference, 1), measure):
        batch = _largest_batch(plan, reference, measure)
        return _lowered(_with_batch(reference, batch), "what a measured forward and backward pass fits into memory")
    for configuration in smaller_patches(reference, fingerprint):
        smaller = _with_batch(configuration, 1)
        less = math.prod(smaller.patch_size) < math.prod(reference.patch_size)
        if less and _fits(plan, smaller, measure):
            return _lowered(smaller, "the largest patch that a measured forward and backward pass fits into memory")
    raise nothing_fits(plan, name, "a --time-budget, which plans smaller networks, or ")


def nothing_fits(plan: Plan, name: str, instead: str = "") -> PlanError:
    """The error that is raised where not even the smallest network or patch fits into memory.

    Args:
        plan: plan that holds the memory target.
        name: name of the configuration in the plan, such as `3d`.
        instead: further advice for the user, put before the advice to use another device.
    """
    return PlanError(
        f"configuration {name}: no patch fits into {plan.memory_gb:g} GB on this device; give more with --memory where "
        f"it has more, {instead}another --device"
    )


def _lowered(configuration: Configuration, why: str) -> WithReasons[Configuration]:
    """The configuration with the reason for its patch and batch size."""
    return WithReasons(configuration).changed(
        patch_size=Decision(configuration.patch_size, why), batch_size=Decision(configuration.batch_size, why)
    )


def _largest_batch(plan: Plan, reference: Configuration, measure: Measure) -> int:
    """The largest batch size that fits, by bisection between 1, which fits, and the reference's, which does not."""
    fits, too_large = 1, reference.batch_size
    while too_large - fits > 1:
        middle = (fits + too_large) // 2
        if _fits(plan, _with_batch(reference, middle), measure):
            fits = middle
        else:
            too_large = middle
    return fits


def _with_batch(configuration: Configuration, batch: int) -> Configuration:
    return configuration.changed(batch_size=batch)


def _fits(plan: Plan, configuration: Configuration, measure: Measure) -> bool:
    return measure(plan, configuration).fits(plan.memory_gb)
