"""Decides how much memory a training step may take, in the reference plan and in the plan that is followed.

In: what a person asked for, the architecture, and the memory that is free on the device. Out: a `MemoryTarget`. The
reference plan is made for the memory that its preset was published for (nnU-Net's 8 GB; residual encoder M, L and XL:
8, 24 and 40 GB, arXiv:2404.09556), so that it equals nnU-Net's plan. The plan that is followed must fit into the
device.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from autoseg.errors import PlanError
from autoseg.plan.configuration import Architecture
from autoseg.plan.decision import Decision
from planner.rules.memory import MEMORY_MODELS

SHARE_OF_FREE = 0.9
"""A training step may take this share of the free memory; the allocator and the libraries take some of the rest."""

BYTES_A_GB = 2**30


@dataclass(frozen=True)
class MemoryTarget:
    """Memory in GB that a training step may take, with the reason.

    Args:
        reference: memory of the reference plan, which the rules size its networks for.
        followed: memory of the plan that is trained; never more.
    """

    reference: Decision[float]
    followed: Decision[float]


def memory_target(
    asked: float | Literal["auto"] | None, architecture: Architecture, free_bytes: int | None, device: str
) -> MemoryTarget:
    """The memory that a plan is made for.

    Args:
        asked: memory in GB that a person asked for; `auto` = what is free on the device; None = as published.
        architecture: architecture of the networks, which decides the published memory.
        free_bytes: bytes that are free on the device, on a CPU all of the machine's; None = not known.
        device: type of the device.

    Raises:
        PlanError: `auto` is asked for, and there is no GPU to ask.
    """
    usable = None if free_bytes is None else round(SHARE_OF_FREE * free_bytes / BYTES_A_GB, 1)
    if asked == "auto":
        if usable is None or device == "cpu":
            raise PlanError(
                f"--memory auto: asks a GPU for its free memory, and there is none to ask (device {device}); give "
                "GB, such as --memory 24"
            )
        found = Decision(usable, f"{SHARE_OF_FREE:.0%} of what is free on the device, as --memory auto asks")
        return MemoryTarget(found, found)
    if asked is None:
        published = MEMORY_MODELS[architecture].memory_gb
        reference = Decision(published, f"what the architecture {architecture} was published for")
    else:
        reference = Decision(asked, "asked for")
    # on a CPU a person may know better what else the memory holds
    knows_better = device == "cpu" and asked is not None
    if usable is None or usable >= reference.value or knows_better:
        return MemoryTarget(reference, reference)
    what = "this machine's memory" if device == "cpu" else "what is free on the device"
    why = f"{SHARE_OF_FREE:.0%} of {what}, which is less than the {reference.value:g} GB "
    return MemoryTarget(reference, Decision(max(usable, 0.1), why + ("asked for" if asked else "of the preset")))
