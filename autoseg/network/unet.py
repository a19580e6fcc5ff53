"""The U-Net: plain or residual encoder, any depth and kernel per axis, deep supervision.

Isensee et al., Nature Methods 2021 (plain); Isensee et al., arXiv:2404.09556 (residual encoder).
Modules are registered in the order nnU-Net's networks have them, so that its weights can be mapped
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
    """Convolution, instance norm, leaky ReLU: (B, in, z, y, x) to (B, out, z', y', x')."""

    def __init__(self, inputs: int, outputs: int, kernel: Shape, stride: Shape, activate: bool = True) -> None:
        super().__init__()
        self.conv = Convolution(
            inputs, outputs, kernel, stride, padding=(kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
        )
        self.norm = InstanceNorm(outputs)
        self.activation = nn.LeakyReLU(0.01, inplace=True) if activate else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the three in order."""
        return self.activation(self.norm(self.conv(x)))


class CodedConvolutionBlock(ConvolutionBlock):
    """The first block of a network whose last input channels are codes, the same in every voxel.

    Through the convolution they would add a constant, which instance norm takes away again. So they
    shift the features after the norm, before the activation, as in conditional instance normalisation
    (Dumoulin et al., arXiv:1610.07629); at first by nothing.
    """

    def __init__(self, inputs: int, codes: int, outputs: int, kernel: Shape, stride: Shape) -> None:
        super().__init__(inputs, outputs, kernel, stride)
        self.inputs = inputs
        # drawing no weights: those of the other layers are a network's without codes, from the same seed
        self.shift = nn.utils.skip_init(nn.Linear, codes, outputs, bias=False)
        nn.init.zeros_(self.shift.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, inputs + codes, z, y, x) to (B, out, z', y', x')."""
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
        """Sum of both ways, activated."""
        return self.activation(self.conv2(self.conv1(x)) + self.shortcut(x))


class Encoder(nn.Module):
    """Stages from full resolution down; gives the output of each.

    Its input has `channels` of images, and after them `codes`.
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

        # residual encoders of nnU-Net begin with one plain convolution at the first stage's width
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
        """(B, C, z, y, x) to the features of every stage, full resolution first."""
        x = self.stem(x)
        outputs = []
        for stage in self.stages:
            x = stage(x)
            outputs.append(x)
        return outputs


class Decoder(nn.Module):
    """Transposed convolutions, skip connections and, at each resolution, a layer that gives logits."""

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
        self.stages = nn.ModuleList(stages)
        self.ups = nn.ModuleList(ups)
        self.heads = nn.ModuleList(heads)

    def forward(self, skips: list[torch.Tensor], every_level: bool) -> list[torch.Tensor]:
        """Logits (B, K, …), full resolution first; only that one unless `every_level`."""
        x = skips[-1]
        logits = []
        for i, (up, stage, head) in enumerate(zip(self.ups, self.stages, self.heads, strict=True)):
            x = stage(torch.cat((up(x), skips[-2 - i]), dim=1))
            if every_level or i == len(self.stages) - 1:
                logits.append(head(x))
        return logits[::-1]


class UNet(nn.Module):
    """Encoder and decoder of one configuration.

    In training mode with deep supervision it gives logits of every decoder stage, full resolution
    first; in evaluation mode the full resolution's alone.
    """

    def __init__(self, encoder: Encoder, decoder: Decoder, deep_supervision: bool) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.deep_supervision = deep_supervision

    def forward(self, image: torch.Tensor) -> list[torch.Tensor] | torch.Tensor:
        """(B, C, z, y, x) to logits (B, K, z, y, x), or a list of them in training mode."""
        logits = self.decoder(self.encoder(image), self.training and self.deep_supervision)
        return logits if self.training else logits[0]
