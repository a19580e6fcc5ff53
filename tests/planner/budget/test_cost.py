"""Counted multiply-adds against torch's own count of what the network that is built computes."""

import random

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from autoseg.image.geometry import Shape
from autoseg.machine.step_cost import StepCost
from autoseg.network.build import build_network
from autoseg.plan.configuration import Architecture, Network
from planner.budget.cost import estimated_cost, multiply_adds

ISOTROPIC = ((1, 1, 1), (2, 2, 2), (2, 2, 2))
ANISOTROPIC = ((1, 1, 1), (1, 2, 2), (2, 2, 2))
FLAT = ((1, 1, 1), (1, 2, 2), (1, 2, 2))


def network(
    architecture: Architecture,
    strides: tuple[Shape, ...],
    kernel: Shape,
    *,
    features: tuple[int, ...] = (8, 12, 20),
    encoder_blocks: tuple[int, ...] = (2, 2, 2),
    decoder_blocks: tuple[int, ...] = (2, 2),
) -> Network:
    """A network of three stages whose first kernel is `kernel`; the lower ones are cubes unless it is flat."""
    lower: Shape = kernel if strides == FLAT else (3, 3, 3)
    return Network(
        architecture=architecture,
        features=features,
        strides=strides,
        kernel_sizes=(kernel, lower, lower),
        encoder_blocks=encoder_blocks,
        decoder_blocks=decoder_blocks,
    )


def counted_by_torch(described: Network, patch_size: Shape, channels: int, classes: int) -> float:
    """Multiply-adds of the convolutions that run when one patch is predicted (two operations each)."""
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        build_network(described, channels, classes).eval()(torch.empty(1, channels, *patch_size))
    return counter.get_total_flops() / 2


# strides, first kernel, patch
CASES: list[tuple[tuple[Shape, ...], Shape, Shape]] = [
    (ISOTROPIC, (3, 3, 3), (16, 24, 16)),
    (ANISOTROPIC, (1, 3, 3), (8, 24, 16)),
    (FLAT, (1, 3, 3), (1, 32, 24)),
]
IDS = ("isotropic", "anisotropic", "2d")


@pytest.mark.parametrize(("strides", "kernel", "patch_size"), CASES, ids=IDS)
def test_plain_networks_are_counted_exactly(strides: tuple[Shape, ...], kernel: Shape, patch_size: Shape) -> None:
    described = network("plain", strides, kernel)
    assert multiply_adds(described, patch_size, 2, 4) == counted_by_torch(described, patch_size, 2, 4)


@pytest.mark.parametrize(("strides", "kernel", "patch_size"), CASES, ids=IDS)
def test_residual_networks_are_counted_but_for_their_projections(
    strides: tuple[Shape, ...], kernel: Shape, patch_size: Shape
) -> None:
    described = network("resenc_m", strides, kernel, encoder_blocks=(1, 3, 4), decoder_blocks=(1, 1))
    counted = counted_by_torch(described, patch_size, 2, 4)
    # kernels of one voxel on the shortcuts, where the channels change, are all that may be missing
    assert 0.98 * counted < multiply_adds(described, patch_size, 2, 4) <= counted


def test_networks_drawn_at_random_are_counted_exactly() -> None:
    draw = random.Random(0)
    for _ in range(8):
        strides, kernel, patch_size = draw.choice(CASES)
        described = network(
            "plain",
            strides,
            kernel,
            features=tuple(draw.randint(1, 30) for _ in range(3)),
            encoder_blocks=tuple(draw.randint(1, 4) for _ in range(3)),
            decoder_blocks=tuple(draw.randint(1, 3) for _ in range(2)),
        )
        channels, classes = draw.randint(1, 5), draw.randint(2, 9)
        expected = counted_by_torch(described, patch_size, channels, classes)
        assert multiply_adds(described, patch_size, channels, classes) == expected, described


def test_steps_of_nearly_the_same_work_tell_no_line() -> None:
    # noise would: the larger one was the quicker
    close = [(1000, StepCost(0.11, 1)), (1010, StepCost(0.10, 1))]
    assert estimated_cost(10_000, close).seconds == pytest.approx(0.10 * 5, rel=0.02)
    apart = [(1000, StepCost(0.15, 1, 0.25)), (2000, StepCost(0.25, 2, 0.25))]
    estimated = estimated_cost(3000, apart)
    assert estimated.seconds == pytest.approx(0.35)
    assert (estimated.peak_bytes, estimated.forward_share) == (None, 0.25), "of memory nothing is known"
