"""The network in training: one optimiser step at a time, and the moving average of its weights.

In: a batch of images (B, C, z, y, x) and labels (B, z, y, x) on the device. Out: the loss, and changed weights. CUDA
uses mixed precision, and so do CPUs on which it is safe and faster; other devices use single precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import get_ema_multi_avg_fn

from autoseg.machine.device import half_precision
from autoseg.network.build import expect_little_foreground, network_by_plan, on_device
from autoseg.network.unet import UNet
from autoseg.plan.configuration import Configuration, Training
from autoseg.plan.plan import Plan
from trainer.data.batch import Batch
from trainer.label_loss import counting_of, loss_of
from trainer.lesion_loss import lesion_wise_loss
from trainer.loss import deep_supervision_loss
from trainer.marginal_loss import known_counts, marginal_loss
from trainer.ranks import ALONE, Ranks

LONG_BETA, QUICK_BETA = 0.999, 0.98
"""AdamW's decay of squared gradients where the plan names none, and after a collapse."""


class Learner:
    """Weights, their moving average, the optimiser and the loss of one fold.

    Args:
        plan: plan that holds the sequences and the classes.
        configuration: configuration that holds the network, the input and the spacing.
        training: training settings that are followed; their length may differ from the plan's.
        device: device on which the network is trained.
        seed: random seed of the initial weights.
        ranks: processes that train the fold together, each with a part of every batch.
    """

    def __init__(
        self,
        plan: Plan,
        configuration: Configuration,
        training: Training,
        device: torch.device,
        seed: int,
        ranks: Ranks = ALONE,
    ) -> None:
        torch.manual_seed(seed)
        network = network_by_plan(plan, configuration, deep_supervision=training.deep_supervision)
        if training.foreground_prior is not None:
            expect_little_foreground(network, training.foreground_prior, overlapping=plan.labels.overlapping)
        self.device = device
        self.training = training
        self.labels = plan.labels
        self.loss_of_stage = loss_of(plan.labels)
        self.counted = counting_of(plan.labels)
        # a larger gradient is scaled down to this norm; it is less after a collapse
        self.clip = training.gradient_clip
        self.module: UNet = on_device(network, device).train()
        self.ranks = ranks
        # what computes the logits: the network, or what is made of it; the state is kept by the network
        self.forward: Callable[[torch.Tensor], Sequence[torch.Tensor]] = self.module
        if ranks.count > 1:
            for head in self.module.unused_heads:
                head.requires_grad_(False)
            self.forward = DistributedDataParallel(self.module, [device] if device.type == "cuda" else None)
        self.optimizer = make_optimizer(training, self.module)
        self.average = {k: v.detach().clone() for k, v in self.module.state_dict().items()}
        self.half = half_precision(device, learning=True)
        # bfloat16 has the range of single precision and needs no scaling of the loss
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.half == torch.float16)

    def step(self, batch: Batch, rate: float, done: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Take one optimiser step; nothing here waits for a GPU.

        On a CPU no weight is changed if the loss is not finite. On a GPU this is not known yet: the caller looks at the
        loss later, and goes back to weights before it.

        Args:
            batch: images and labels on the device, with the lesions of the labels where their loss is used.
            rate: learning rate of this step.
            done: number of steps done before; the decay of the average grows with it.

        Returns:
            The loss (a tensor without axes), and the numbers of true positive, predicted and reference voxels of each
            foreground class or region (3, F); both are on the device.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        logits, loss = self.loss_of(batch)
        # where processes train together, all of them go back
        if self.device.type != "cpu" or self.ranks.count > 1 or math.isfinite(loss.item()):
            self.scaler.scale(loss).backward()
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.module.parameters(), self.clip)
            self.scaler.step(self.optimizer)
            self.scaler.update()
            self._update_average(done)
        missing = batch.missing
        counted = self.counted if missing is None else partial(known_counts, labels=self.labels, missing=missing)
        return loss.detach(), counted(logits[0], batch.label)

    def pass_through(self, batch: Batch) -> None:
        """Compute the loss of a batch and its gradients, wait for the device, and change nothing."""
        _, loss = self.loss_of(batch)
        loss.backward()
        loss.item()
        self.optimizer.zero_grad(set_to_none=True)

    def loss_of(self, batch: Batch) -> tuple[Sequence[torch.Tensor], torch.Tensor]:
        """Logits of the decoder stages, and the loss, of a batch on the device."""
        with torch.autocast(self.device.type, self.half, enabled=self.half is not None):
            logits = self.forward(batch.image)
        missing = batch.missing
        of_stage = (
            self.loss_of_stage if missing is None else partial(marginal_loss, labels=self.labels, missing=missing)
        )
        loss = deep_supervision_loss(logits, batch.label, self.training.batch_dice, self.ranks, of_stage)
        if self.training.lesion_loss:
            of_lesions = lesion_wise_loss(logits[0], batch.label, batch.lesions, self.labels, self.ranks, missing)
            loss = loss + self.training.lesion_loss * of_lesions
        return logits, loss

    def forget_quickly(self) -> None:
        """Let AdamW remember squared gradients for fifty steps at most; another optimiser is not changed.

        Where lesions are small, one large gradient can make a network predict background alone. Its gradients are
        then thirty times as small, and steps that are divided by the large ones before move it no more.
        """
        for group in self.optimizer.param_groups:
            if "betas" in group:
                group["betas"] = (group["betas"][0], min(group["betas"][1], QUICK_BETA))

    def is_finite(self) -> bool:
        """Whether every weight is finite; a gradient may overflow even if the loss does not."""
        finite = [torch.isfinite(weight).all() for weight in self.module.state_dict().values()]
        return bool(torch.stack(finite).all())

    @torch.no_grad()
    def _update_average(self, done: int) -> None:
        # with a decay that is constant from step 0, short runs would keep too much of the random initial weights
        decay = min(self.training.average_decay, (1 + done) / (10 + done))
        weights = self.module.state_dict()
        move = get_ema_multi_avg_fn(decay)
        move(list(self.average.values()), [weights[k] for k in self.average], done)


def make_optimizer(training: Training, module: torch.nn.Module) -> torch.optim.Optimizer:
    """The optimiser that the training settings name, for the weights of a network."""
    parameters, rate, decay = list(module.parameters()), training.learning_rate, training.weight_decay
    # one kernel for all weights on a GPU
    fused = parameters[0].device.type == "cuda" or None
    if training.optimizer == "sgd":
        return torch.optim.SGD(parameters, rate, momentum=0.99, nesterov=True, weight_decay=decay, fused=fused)
    betas, foreach = (0.9, training.beta2 or LONG_BETA), None if fused else True
    return torch.optim.AdamW(parameters, rate, betas, weight_decay=decay, foreach=foreach, fused=fused)
