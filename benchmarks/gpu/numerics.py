"""(a) Loss, gradients and labels on the CPU and on the device; twenty steps beside ten, a checkpoint, and ten."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cosine_similarity

from autoseg.machine.device import computing_on, resolve_device
from autoseg.plan.configuration import Configuration
from autoseg.plan.plan import Plan
from autoseg.whole_image.patch_probabilities import mean_probabilities
from autoseg.whole_image.prepared_case import predict_prepared_case
from benchmarks.gpu.__main__ import Answers
from benchmarks.gpu.plans import Kind, planned
from trainer import checkpoint
from trainer.checkpoint import Requested, State
from trainer.data.batch import Batch
from trainer.learner import Learner
from trainer.measure import random_batch
from trainer.validation import evaluation_network

SHAPE, SMALL_SHAPE = (48, 48, 48), (16, 16, 16)
PREDICTED, SMALL_PREDICTED = (64, 80, 80), (20, 24, 24)


def measure(device: str, data: Path | None, answers: Answers) -> None:
    where, cpu = resolve_device(device), torch.device("cpu")
    plan, configuration = planned(Kind(SHAPE) if where.type == "cuda" else Kind(SMALL_SHAPE, batch=2))
    # the CPU's gradients are to be computed within seconds
    batch = random_batch(plan, configuration)
    with computing_on(where):
        # the default of torch rounds to 10 bits, which is not what is compared
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        reference = gradients(plan, configuration, batch, cpu, None)
        for name, half in (("float32", None), ("bfloat16", torch.bfloat16), ("float16", torch.float16)):
            answers[name] = compared(reference, gradients(plan, configuration, batch, where, half))
        answers["labels"] = {"equal": labels_equal(plan, configuration, where)}
        answers["resumed"] = resumed(plan, configuration, batch, where)


def gradients(
    plan: Plan, configuration: Configuration, batch: Batch, device: torch.device, half: torch.dtype | None
) -> tuple[float, torch.Tensor]:
    """Loss of a batch, and all gradients in one vector."""
    learner = Learner(plan, configuration, configuration.training, device, seed=1)
    learner.half = half
    _, loss = learner.loss_of(batch.to(device))
    loss.backward()
    found = [weight.grad.ravel().cpu() for weight in learner.module.parameters() if weight.grad is not None]
    return loss.item(), torch.cat(found)


def compared(reference: tuple[float, torch.Tensor], other: tuple[float, torch.Tensor]) -> dict[str, float]:
    return {
        "loss": abs(other[0] - reference[0]) / abs(reference[0]),
        "gradient": float((other[1] - reference[1]).norm() / reference[1].norm()),
        "cosine": float(cosine_similarity(reference[1], other[1], dim=0)),
    }


def labels_equal(plan: Plan, configuration: Configuration, device: torch.device) -> float:
    """Share of the voxels of an image that both devices label alike."""
    shape = PREDICTED if device.type == "cuda" else SMALL_PREDICTED
    image = np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)
    weights = Learner(plan, configuration, configuration.training, torch.device("cpu"), seed=1).average
    labels = []
    for where in (torch.device("cpu"), device):
        network = evaluation_network(plan, configuration, weights, where)

        def predict(patches: torch.Tensor, network: torch.nn.Module = network) -> torch.Tensor:
            return mean_probabilities((network,), patches)

        found = predict_prepared_case(
            predict, image, (True,), plan=plan, configuration=configuration, mirror=(), device=where
        )
        labels.append(found.argmax(0))
    return float((labels[0] == labels[1]).mean())


def resumed(plan: Plan, configuration: Configuration, batch: Batch, device: torch.device) -> dict[str, Any]:
    """Whether twenty steps end as ten steps, a checkpoint in another learner, and ten steps."""
    whole, begun, other = (Learner(plan, configuration, configuration.training, device, seed=1) for _ in range(3))
    moved = batch.to(device)
    for step in range(20):
        whole.step(moved, 1e-3, step)
    for step in range(10):
        begun.step(moved, 1e-3, step)
    state = State(
        step=10,
        training=configuration.training,
        requested=Requested(),
        seconds=0.0,
        threads=1,
        torch_version=torch.__version__,
        plan_sha256="",
    )
    checkpoint.restore(checkpoint.take(state, begun), other)
    for step in range(10, 20):
        other.step(moved, 1e-3, step)
    pairs = zip(whole.module.state_dict().values(), other.module.state_dict().values(), strict=True)
    return {"largest difference": max(float((a - b).abs().max()) for a, b in pairs)}
