"""From the plan's description of a network to the network."""

from __future__ import annotations

import torch
from torch import nn

from autoseg.network.unet import Decoder, Encoder, UNet
from autoseg.plan import Network


def build_network(network: Network, in_channels: int, classes: int, *, deep_supervision: bool = True) -> UNet:
    """A U-Net with freshly drawn weights (He et al., arXiv:1502.01852, as nnU-Net draws them).

    Args:
        network: stages, features, strides, kernels and blocks.
        in_channels: channels of the input.
        classes: channels of the output, background included.
        deep_supervision: whether training mode gives logits of every decoder stage.
    """
    residual = network.architecture != "plain"
    encoder = Encoder(
        in_channels, network.features, network.strides, network.kernel_sizes, network.encoder_blocks, residual
    )
    decoder = Decoder(classes, network.features, network.strides, network.kernel_sizes, network.decoder_blocks)
    unet = UNet(encoder, decoder, deep_supervision)
    unet.apply(_initialize)
    return unet


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
        nn.init.kaiming_normal_(module.weight, a=0.01)
        if module.bias is not None:
            with torch.no_grad():
                module.bias.zero_()
