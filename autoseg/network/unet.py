"""The U-Net: plain or residual encoder, any depth, any kernel size per axis, deep supervision.

Isensee et al., Nature Methods 2021 (plain); Isensee et al., arXiv:2404.09556 (residual encoder).
Modules are registered in the same order as in nnU-Net's networks, so that its weights can be mapped
one to one. Shapes: B batch, K classes, C channels; spatial axes (z, y, x).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from autoseg.image.geometry import Shape
from autoseg.network.convolution import Convolution
from autoseg.network.instance_norm import InstanceNorm


class ConvolutionBlock(nn.Module):
    """Convolution, instance norm and leaky ReLU, from (B, in, z, y, x) to (B, out, z', y', x')."""

    def __init__(self, inputs: int, outputs: int, kernel: Shape, stride: Shape, activate: bool = True) -> None:
        super().__init__()
        self.conv = Convolution(
            inputs, outputs, kernel, stride, padding=(kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
        )
        self.norm = InstanceNorm(outputs)
        self.activation = nn.LeakyReLU(0.01, inplace=True) if activate else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the three layers in this order."""
        return self.activation(self.norm(self.conv(x)))


class CodedConvolutionBlock(ConvolutionBlock):
    """The first block of a network whose last input channels are codes, with one value in all voxels.

    Through the convolution, the codes would add a constant, which instance norm removes again. Therefore they
    shift the features after the norm and before the activation, as in conditional instance normalisation
    (Dumoulin et al., arXiv:1610.07629). Before training the shift is zero.
    """

    def __init__(self, inputs: int, codes: int, outputs: int, kernel: Shape, stride: Shape) -> None:
        super().__init__(inputs, outputs, kernel, stride)
        self.inputs = inputs
        # draws no random weights, so that the other layers start as in a network without codes from the same seed
        self.shift = nn.utils.skip_init(nn.Linear, codes, outputs, bias=False)
        nn.init.zeros_(self.shift.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the block, from (B, inputs + codes, z, y, x) to (B, out, z', y', x')."""
        shift = self.shift(x[:, self.inputs :, 0, 0, 0])[:, :, None, None, None]
        return self.activation(self.norm(self.conv(x[:, : self.inputs])) + shift)


class ResidualBlock(nn.Module):
    """Two convolutions and a shortcut (ResNet-D: average pooling, then 1x1x1 convolution)."""

    def __init__(self, inputs: int, outputs: int, kernel: Shape, stride: Shape) -> None:
        super().__init__()
        self.conv1 = ConvolutionBlock(inputs, outputs, kernel, stride)
        self.conv2 = ConvolutionBlock(outputs, outputs, kernel, (1, 1, 1), activate=False)
        self.activation = nn.LeakyReLU(0.01, inplace=True)
        shortcut: list[nn.Module] = []
        if any(s > 1 for s in stride):
            shortcut.append(nn.AvgPool3d(stride, stride))
        if inputs != outputs:
            shortcut += [Convolution(inputs, outputs, 1, bias=False), InstanceNorm(outputs)]
        self.shortcut = nn.Sequential(*shortcut)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add the shortcut to the output of the two convolutions, and apply the activation."""
        return self.activation(self.conv2(self.conv1(x)) + self.shortcut(x))


class Encoder(nn.Module):
    """Encoder stages from full resolution down; returns the features of every stage.

    The first `channels` channels of its input hold images, the last `codes` channels hold codes.
    """

    def __init__(
        self,
        channels: int,
        features: Sequence[int],
        strides: Sequence[Shape],
        kernels: Sequence[Shape],
        blocks: Sequence[int],
        residual: bool,
        codes: int = 0,
    ) -> None:
        super().__init__()

        def entry(outputs: int, kernel: Shape, stride: Shape) -> ConvolutionBlock:
            if codes:
                return CodedConvolutionBlock(channels, codes, outputs, kernel, stride)
            return ConvolutionBlock(channels, outputs, kernel, stride)

        # nnU-Net's residual encoders begin with one plain convolution block with the first stage's features
        self.stem = entry(features[0], kernels[0], (1, 1, 1)) if residual else nn.Identity()
        block = ResidualBlock if residual else ConvolutionBlock
        inputs = features[0] if residual else channels
        stages: list[nn.Sequential] = []
        for outputs, stride, kernel, count in zip(features, strides, kernels, blocks, strict=True):
            enters = not residual and not stages
            first = entry(outputs, kernel, stride) if enters else block(inputs, outputs, kernel, stride)
            rest = [block(outputs, outputs, kernel, (1, 1, 1)) for _ in range(count - 1)]
            stages.append(nn.Sequential(first, *rest))
            inputs = outputs
        self.stages = nn.ModuleList(stages)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the features of every stage for an input (B, C, z, y, x), full resolution first."""
        x = self.stem(x)
        outputs = []
        for stage in self.stages:
            x = stage(x)
            outputs.append(x)
        return outputs


class Decoder(nn.Module):
    """Decoder with transposed convolutions, skip connections and, at each resolution, an output layer for logits.

    Where the encoder has a single stage, which a patch of a few voxels leads to, the output layer follows it directly.
    """

    def __init__(
        self,
        classes: int,
        features: Sequence[int],
        strides: Sequence[Shape],
        kernels: Sequence[Shape],
        blocks: Sequence[int],
    ) -> None:
        super().__init__()
        stages, ups, heads = [], [], []
        for level in reversed(range(len(features) - 1)):
            below, here = features[level + 1], features[level]
            ups.append(nn.ConvTranspose3d(below, here, strides[level + 1], strides[level + 1]))
            first = ConvolutionBlock(2 * here, here, kernels[level], (1, 1, 1))
            rest = [ConvolutionBlock(here, here, kernels[level], (1, 1, 1)) for _ in range(blocks[level] - 1)]
            stages.append(nn.Sequential(first, *rest))
            heads.append(Convolution(here, classes, 1))
        if not heads:
            heads.append(Convolution(features[0], classes, 1))
        self.stages = nn.ModuleList(stages)
        self.ups = nn.ModuleList(ups)
        self.heads = nn.ModuleList(heads)

    def forward(self, skips: list[torch.Tensor], every_level: bool) -> list[torch.Tensor]:
        """Return logits (B, K, z, y, x) at full resolution, and if `every_level` at the coarser ones after it.

        The coarsest stage gives none unless it is the only one: the loss does not see it (Isensee et al., Nature
        Methods 2021, supplement), and its output layer, which nnU-Net has too, stays as it was drawn.
        """
        x = skips[-1]
        if not self.stages:
            return [self.heads[0](x)]
        logits = []
        for i, (up, stage, head) in enumerate(zip(self.ups, self.stages, self.heads, strict=True)):
            x = stage(torch.cat((up(x), skips[-2 - i]), dim=1))
            if (every_level and i > 0) or i == len(self.stages) - 1:
                logits.append(head(x))
        return logits[::-1]


class UNet(nn.Module):
    """Encoder and decoder of one configuration.

    In training mode it returns a list of logits: with deep supervision those of every decoder stage but the coarsest,
    full resolution first, otherwise only those at full resolution. In evaluation mode it returns the logits at full
    resolution.
    """

    def __init__(self, encoder: Encoder, decoder: Decoder, deep_supervision: bool) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.deep_supervision = deep_supervision

    @property
    def unused_heads(self) -> list[nn.Module]:
        """Output layers that compute nothing in training."""
        heads = list(self.decoder.heads)
        return heads[:1] if self.deep_supervision and len(heads) > 1 else heads[:-1]

    def forward(self, image: torch.Tensor) -> list[torch.Tensor] | torch.Tensor:
        """Return the logits (B, K, z, y, x) of an image (B, C, z, y, x), or a list of logits in training mode."""
        logits = self.decoder(self.encoder(image), self.training and self.deep_supervision)
        return logits if self.training else logits[0]
