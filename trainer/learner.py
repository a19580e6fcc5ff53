"""The network in training: one optimiser step at a time, and the moving average of its weights.

In: a batch of images (B, C, z, y, x) and labels (B, z, y, x). Out: the loss, and changed weights. CUDA uses mixed
precision, and so do CPUs on which it is safe and faster; other devices use single precision.
"""

from __future__ import annotations

import math

import torch

from autoseg.machine.device import half_precision, memory_format
from autoseg.network.build import expect_little_foreground, network_by_plan, on_device
from autoseg.network.unet import UNet
from autoseg.plan.configuration import Configuration, Training
from autoseg.plan.plan import Plan
from trainer.lesion_loss import lesion_regions, lesion_wise_loss
from trainer.loss import deep_supervision_loss, foreground_counts

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
    """

    def __init__(
        self, plan: Plan, configuration: Configuration, training: Training, device: torch.device, seed: int
    ) -> None:
        torch.manual_seed(seed)
        network = network_by_plan(plan, configuration, deep_supervision=training.deep_supervision)
        if training.foreground_prior is not None:
            expect_little_foreground(network, training.foreground_prior)
        self.device = device
        self.training = training
        # a larger gradient is scaled down to this norm; it is less after a collapse
        self.clip = training.gradient_clip
        # along an axis that is not resampled a patch has one voxel, so the 1 mm given here affects no distance
        self.spacing = configuration.target_spacing((1.0, 1.0, 1.0))
        self.module: UNet = on_device(network, device).train()
        self.optimizer = make_optimizer(training, self.module)
        self.average = {k: v.detach().clone() for k, v in self.module.state_dict().items()}
        self.half = half_precision(device, learning=True)
        # bfloat16 has the range of single precision and needs no scaling of the loss
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.half == torch.float16)

    def step(self, image: torch.Tensor, label: torch.Tensor, rate: float, done: int) -> tuple[float, torch.Tensor]:
        """Take one optimiser step. If the loss is not finite, no weight is changed.

        Args:
            image: images (B, C, z, y, x), float32.
            label: class indices (B, z, y, x), uint8, on the CPU.
            rate: learning rate of this step.
            done: number of steps done before; the decay of the average grows with it.

        Returns:
            The loss, and the numbers of true positive, predicted and reference voxels of each foreground class
            (3, K-1).
        """
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        image = image.to(self.device, non_blocking=True, memory_format=memory_format(self.device))
        voxels = label.numpy()
        label = label.to(self.device, non_blocking=True)
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, self.half, enabled=self.half is not None):
            logits = self.module(image)
        loss = deep_supervision_loss(logits, label, self.training.batch_dice)
        if self.training.lesion_loss:
            # lesions are found on the CPU while a GPU computes the network
            lesions = lesion_regions(voxels, self.spacing)
            loss = loss + self.training.lesion_loss * lesion_wise_loss(logits[0], label, lesions)
        value = loss.item()
        if math.isfinite(value):
            self.scaler.scale(loss).backward()
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.module.parameters(), self.clip)
            self.scaler.step(self.optimizer)
            self.scaler.update()
            self._update_average(done)
        return value, foreground_counts(logits[0], label).cpu()

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
        return all(bool(torch.isfinite(weight).all()) for weight in self.module.state_dict().values())

    @torch.no_grad()
    def _update_average(self, done: int) -> None:
        # with a decay that is constant from step 0, short runs would keep too much of the random initial weights
        decay = min(self.training.average_decay, (1 + done) / (10 + done))
        weights = self.module.state_dict()
        torch._foreach_lerp_(list(self.average.values()), [weights[k] for k in self.average], 1 - decay)


def make_optimizer(training: Training, module: torch.nn.Module) -> torch.optim.Optimizer:
    """The optimiser that the training settings name, for the weights of a network."""
    parameters = module.parameters()
    if training.optimizer == "sgd":
        return torch.optim.SGD(
            parameters, training.learning_rate, momentum=0.99, nesterov=True, weight_decay=training.weight_decay
        )
    betas = (0.9, training.beta2 or LONG_BETA)
    return torch.optim.AdamW(
        parameters, training.learning_rate, betas, weight_decay=training.weight_decay, foreach=True
    )
