"""The count of feature-map elements against nnU-Net's published numbers and against a real network."""

import pytest
import torch
from torch import nn

from autoseg.network.build import build_network
from autoseg.plan.configuration import Architecture, Network
from planner.rules.memory import MEMORY_MODELS, feature_map_elements


def network(architecture: Architecture, features: tuple[int, ...], stride: tuple[int, int, int]) -> Network:
    """A network with kernels of 3 and the same stride at every stage but the first."""
    stages = len(features)
    model = MEMORY_MODELS[architecture]
    return Network(
        architecture=architecture,
        features=features,
        strides=((1, 1, 1), *(stride,) * (stages - 1)),
        kernel_sizes=((3, 3, 3),) * stages,
        encoder_blocks=model.encoder_blocks(stages),
        decoder_blocks=(model.decoder_blocks,) * (stages - 1),
    )


@pytest.mark.parametrize(
    ("features", "stride", "patch_size", "published"),
    [
        ((32, 64, 128, 256, 320, 320), (2, 2, 2), (128, 128, 128), 558_319_104),
        ((32, 64, 128, 256, 512, 512, 512), (1, 2, 2), (1, 512, 512), 129_793_792),
    ],
)
def test_numbers_published_with_the_residual_encoder_presets(
    features: tuple, stride: tuple, patch_size: tuple, published: int
) -> None:
    planned = network("resenc_m", features, stride)
    assert feature_map_elements(planned, patch_size, 3, deep_supervision=True) == published


@pytest.mark.parametrize("architecture", ["plain", "resenc_m"])
@pytest.mark.parametrize("deep_supervision", [True, False])
def test_count_equals_what_convolutions_of_a_real_network_write(
    architecture: Architecture, deep_supervision: bool
) -> None:
    planned = network(architecture, (2, 3, 4), (1, 2, 2))
    unet = build_network(planned, 2, 5, deep_supervision=deep_supervision).train()
    written = 0

    def count(_module: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        nonlocal written
        written += output.numel()

    for module in unet.modules():
        if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
            module.register_forward_hook(count)
    unet(torch.zeros(1, 2, 3, 16, 24))
    if deep_supervision:
        # nnU-Net computes the logits of the coarsest stage too, and its rule counts them
        written += 5 * 3 * 8 * 12
    assert feature_map_elements(planned, (3, 16, 24), 5, deep_supervision=deep_supervision) == written


def test_elements_scale_with_the_memory_target() -> None:
    model = MEMORY_MODELS["resenc_l"]
    assert model.elements(3, 24) == model.elements_3d
    assert model.elements(2, 12) == model.elements_2d / 2


def test_deep_residual_stages_repeat_the_last_number_of_blocks() -> None:
    assert MEMORY_MODELS["resenc_m"].encoder_blocks(7) == (1, 3, 4, 6, 6, 6, 6)
    assert MEMORY_MODELS["resenc_m"].encoder_blocks(2) == (1, 3)
    assert MEMORY_MODELS["plain"].encoder_blocks(3) == (2, 2, 2)
