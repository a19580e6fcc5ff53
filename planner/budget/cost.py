"""Count the multiply-adds of a network's forward pass, and estimate the time of a training step from them.

In: a configuration, and measured steps where there are any. Out: multiply-adds, or a `StepCost`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from autoseg.image.geometry import Shape
from autoseg.machine.step_cost import StepCost
from autoseg.plan.configuration import Configuration, Network
from autoseg.plan.network_input import input_channels
from autoseg.plan.plan import Plan

COUNTED_MULTIPLY_ADDS_PER_SECOND, COUNTED_OVERHEAD_SECONDS = 2e10, 0.02
"""Multiply-adds per second of one thread, and overhead of a step, on an ordinary workstation.

They are used where a plan must not depend on the machine at hand. The backward pass counts as twice the forward pass.
"""

LEAST_SPREAD_FACTOR = 1.5
"""A line is fitted to measured steps only if the largest has at least this many times the work of the smallest."""


def work_of_a_step(plan: Plan, configuration: Configuration) -> int:
    """Multiply-adds of the forward pass of one batch."""
    # an availability code costs nothing: it is no image
    channels = sum(channel.kind == "image" for channel in input_channels(plan, configuration))
    a_patch = multiply_adds(configuration.network, configuration.patch_size, channels, plan.labels.outputs)
    return configuration.batch_size * a_patch


def counted_cost(plan: Plan, configuration: Configuration, threads: int) -> StepCost:
    """Cost of a step from its multiply-adds alone, so that it is always the same on every machine.

    Args:
        plan: plan that holds the sequences and the classes.
        configuration: configuration that holds input, patch size, batch size and network.
        threads: number of threads that compute the step.
    """
    rate = COUNTED_MULTIPLY_ADDS_PER_SECOND * threads
    return StepCost(COUNTED_OVERHEAD_SECONDS + 3 * work_of_a_step(plan, configuration) / rate, None)


def estimated_cost(work: int, measured: Sequence[tuple[int, StepCost]]) -> StepCost:
    """Estimated cost of a step: an overhead plus its work times a rate, both fitted to measured steps.

    Args:
        work: multiply-adds of the step's forward pass.
        measured: work and cost of each measured step, with finite seconds; at least one.
    """
    last_work, last = measured[-1]
    if not allow_a_line(measured):
        # a small network spends much of its time on overhead, so time grows more slowly than work
        seconds = last.seconds * max(0.5 * work / last_work, 1.0)
    else:
        known = np.array([(w, cost.seconds) for w, cost in measured])
        rate, overhead = np.polyfit(known[:, 0], known[:, 1], 1)
        seconds = float(max(overhead, 0.0) + max(rate, 0.0) * work)
    return replace(last, seconds=seconds, peak_bytes=None)


def allow_a_line(measured: Sequence[tuple[int, StepCost]]) -> bool:
    """Whether the work of the measured steps differs enough to fit a line whose slope is not decided by noise."""
    works = [work for work, _ in measured]
    return bool(works) and max(works) >= LEAST_SPREAD_FACTOR * min(works)


def multiply_adds(network: Network, patch_size: Shape, channels: int, classes: int) -> int:
    """Multiply-adds of all convolutions in the forward pass of one patch.

    Args:
        network: the network, plain or with residual encoder.
        patch_size: patch size in voxels (z, y, x).
        channels: number of channels of the network's input.
        classes: number of output channels at full resolution, background included.
    """
    total, entering, size = 0, channels, list(patch_size)
    voxels, residual = [], network.architecture != "plain"
    if residual:
        total += math.prod(size) * math.prod(network.kernel_sizes[0]) * entering * network.features[0]
        entering = network.features[0]
    stages = zip(network.features, network.strides, network.kernel_sizes, network.encoder_blocks, strict=True)
    for features, stride, kernel, blocks in stages:
        size = [n // s for n, s in zip(size, stride, strict=True)]
        voxels.append(math.prod(size))
        convolutions = (2 * blocks if residual else blocks) - 1
        total += voxels[-1] * math.prod(kernel) * features * (entering + convolutions * features)
        entering = features
    for stage, blocks in enumerate(network.decoder_blocks):
        here, below = network.features[stage], network.features[stage + 1]
        kernel_voxels = math.prod(network.kernel_sizes[stage])
        # the transposed convolution's kernel is its stride: every output voxel sees one input voxel
        total += voxels[stage] * here * (below + kernel_voxels * (2 * here + (blocks - 1) * here))
    return total + voxels[0] * network.features[0] * classes
