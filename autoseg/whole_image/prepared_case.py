"""Predicts the class probabilities of a prepared case by the settings of a plan and one of its configurations.

Validation during training and prediction of new images both call it, so that a network sees a whole case in the same
way in both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from autoseg.plan.configuration import Configuration
from autoseg.plan.network_input import InputLayout
from autoseg.plan.plan import Plan
from autoseg.whole_image.member_labels import MemberLabels
from autoseg.whole_image.sliding_window import predict_probabilities
from autoseg.whole_image.window_inputs import Sliceable
from autoseg.whole_image.windows_at_once import windows_at_once


def predict_prepared_case(
    predict_patch: Callable[[torch.Tensor], torch.Tensor],
    image: Sliceable,
    present: Sequence[bool],
    *,
    plan: Plan,
    configuration: Configuration,
    mirror: tuple[int, ...],
    device: torch.device,
    on_window: Callable[[int, int], None] | None = None,
    members: MemberLabels | None = None,
) -> NDArray[np.float16]:
    """Predict a case that was preprocessed for a configuration.

    Window size, overlap, classes and the network's input follow from plan and configuration.

    Args:
        predict_patch: function from patches (batch, channel, z, y, x) float32 to their probabilities
            (batch, K, z, y, x), of any float dtype.
        image: prepared image (channel, z, y, x) float32.
        present: for each channel of `image` whether the case has it.
        plan: plan that holds the sequences and the classes.
        configuration: configuration that the image was prepared for.
        mirror: axes (0 = z, 1 = y, 2 = x) to mirror along; predictions are averaged over all their combinations.
        device: device on which `predict_patch` expects its input.
        on_window: called after each batch with the number of finished windows and of all windows; None = no call.
        members: collects the label maps of an ensemble's members, where the memory holds them; None = not asked for.

    Returns:
        Probabilities (K, z, y, x) float16 of the network's K outputs.

    Raises:
        OutOfMemory: the memory does not hold a single window.
    """
    layout = InputLayout.of(plan, configuration)
    return predict_probabilities(
        predict_patch,
        image,
        patch_size=configuration.patch_size,
        classes=plan.labels.outputs,
        overlap=configuration.prediction.overlap,
        mirror=mirror,
        layout=layout,
        present=present,
        batch_size=windows_at_once(configuration, len(layout.channels), plan.labels.outputs, device),
        device=device,
        on_window=on_window,
        members=members,
    )
