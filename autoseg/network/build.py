"""Builds the network that a plan describes, with freshly drawn weights."""

from __future__ import annotations

import math

import torch
from torch import nn

from autoseg.machine.device import memory_format
from autoseg.network.convolution import Convolution
from autoseg.network.unet import Decoder, Encoder, UNet
from autoseg.plan.configuration import Configuration, Network
from autoseg.plan.network_input import input_channels
from autoseg.plan.plan import Plan


def network_by_plan(plan: Plan, configuration: Configuration, *, deep_supervision: bool = True) -> UNet:
    """Build the network of a configuration, with freshly drawn weights.

    Args:
        plan: plan that names the sequences and the classes.
        configuration: configuration that describes the network and its input.
        deep_supervision: whether the network returns logits of every decoder stage in training mode.
    """
    channels = input_channels(plan, configuration)
    codes = sum(channel.kind == "availability" for channel in channels)
    return build_network(
        configuration.network,
        len(channels) - codes,
        plan.labels.outputs,
        codes=codes,
        deep_supervision=deep_supervision,
    )


def build_network(
    network: Network, in_channels: int, classes: int, *, codes: int = 0, deep_supervision: bool = True
) -> UNet:
    """Build a U-Net with freshly drawn weights (He et al., arXiv:1502.01852, as nnU-Net draws them).

    Args:
        network: number of stages, and their features, strides, kernels and blocks.
        in_channels: number of input channels that hold images.
        classes: number of output channels: the classes with the background, or the regions.
        codes: number of input channels after the images that have one value in all voxels (availability codes).
        deep_supervision: whether the network returns logits of every decoder stage in training mode.
    """
    residual = network.architecture != "plain"
    encoder = Encoder(
        in_channels, network.features, network.strides, network.kernel_sizes, network.encoder_blocks, residual, codes
    )
    decoder = Decoder(classes, network.features, network.strides, network.kernel_sizes, network.decoder_blocks)
    unet = UNet(encoder, decoder, deep_supervision)
    unet.apply(_initialize)
    return unet


def expect_little_foreground(network: UNet, prior: float, *, overlapping: bool = False) -> None:
    """Set the biases of the output layers so that an untrained network predicts mostly background.

    The network then needs few steps to learn that foreground is rare (Lin et al., arXiv:1708.02002, section 4.1).

    Args:
        network: network with freshly drawn weights; it is changed in place.
        prior: initial probability of each foreground class against background, the same in every voxel.
        overlapping: whether the outputs are regions, so that none is the background.
    """
    with torch.no_grad():
        for head in network.decoder.heads:
            assert isinstance(head, Convolution) and head.bias is not None
            against = math.log((1 - prior) / prior)
            if overlapping:
                head.bias.fill_(-against)
            else:
                head.bias.zero_()
                head.bias[0] = against


def on_device(network: UNet, device: torch.device) -> UNet:
    """Move a network to a device, in the memory layout that is fastest there; its patches take the same layout."""
    moved: UNet = network.to(device).to(memory_format=memory_format(device))  # type: ignore[call-overload]
    return moved


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
        nn.init.kaiming_normal_(module.weight, a=0.01)
        if module.bias is not None:
            with torch.no_grad():
                module.bias.zero_()
