"""Decides whether a network is computed in compiled form (`torch.compile`), by a probe of its real step.

In: a learner, a batch, and the number of steps that are to come. Out: whether the compiled form is used. The state
stays that of the plain network, so that checkpoints and weights are the same files either way.
"""

from __future__ import annotations

import torch
from rich.console import Console

from autoseg.machine import clock
from autoseg.machine.stop_answer import raise_if_stopped
from trainer.data.batch import Batch
from trainer.learner import Learner

STEPS_TIMED = 5
"""Number of passes that are timed in each form, after one that is not."""


def use_compiled(learner: Learner, batch: Batch, console: Console) -> bool:
    """Let a learner compute with the compiled form of its network.

    Args:
        learner: network and loss on the device; its forward pass becomes the compiled one.
        batch: a batch like those of training, on the device; passing it through compiles the network.
        console: console that tells the user where that fails.

    Returns:
        Whether it works; where not, the plain network computes.
    """
    try:
        learner.forward = torch.compile(learner.module)
        learner.pass_through(batch)
    # whatever a compiler, a driver or a missing tool raises: the plain network is always there
    except Exception as error:
        raise_if_stopped(error)
        learner.forward = learner.module
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        console.print(f"The network is not compiled: torch.compile fails here ({reason:.200})", markup=False)
        return False
    return True


def compile_where_it_pays(learner: Learner, batch: Batch, steps: int, console: Console) -> bool:
    """Compile the network if that works on this machine, and saves more time in the steps to come than it takes.

    No weight is changed.

    Args:
        learner: network and loss; it computes with the faster form afterwards.
        batch: a batch like those of training, on the device.
        steps: number of steps that are to come.
        console: console that tells the user.

    Returns:
        Whether the compiled form is used.
    """
    plain = seconds_a_pass(learner, batch)
    started = clock.now()
    if not use_compiled(learner, batch, console):
        return False
    took = clock.now() - started
    compiled = seconds_a_pass(learner, batch)
    saved = steps * (plain - compiled)
    pays = saved > took
    if not pays:
        learner.forward = learner.module
    console.print(
        f"The network is {'' if pays else 'not '}compiled: a pass takes {compiled:.3g} s instead of {plain:.3g} s, "
        f"which saves {saved:.0f} s in {steps} steps and takes {took:.0f} s"
    )
    return pays


def seconds_a_pass(learner: Learner, batch: Batch) -> float:
    """Mean seconds of a forward and backward pass."""
    learner.pass_through(batch)
    started = clock.now()
    for _ in range(STEPS_TIMED):
        learner.pass_through(batch)
    return (clock.now() - started) / STEPS_TIMED
