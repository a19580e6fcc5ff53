"""The input channels of a network, and how they are made from a preprocessed case.

In: preprocessed channels (sequence, z, y, x) and which sequences the case has. Out: the network's
input (channel, z, y, x): the configuration's sequences, in 2.5D each with its neighbouring
slices, and at the end the availability code, by which the network can tell a sequence that is absent
from one that shows nothing (ModDrop++, arXiv:2203.04959). Training, validation and prediction all make
their inputs here, so that only the configuration decides about them.

A neighbour beyond the first or last slice is zero, and not a copy of that slice. Everything else outside an
image is zero too, in training and in prediction, so that the network can see where the image ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from autoseg.image.geometry import Shape
from autoseg.plan.configuration import Configuration
from autoseg.plan.plan import Plan

NO_HALO: Shape = (0, 0, 0)


@dataclass(frozen=True)
class NetworkInput:
    """Description of one channel of a network's input.

    Args:
        sequence: name of the sequence (the plan's channel) that the channel is made from.
        offset: number of slices along the configuration's `slice_axis` from the predicted slice to this one.
        kind: `image`: intensities; `availability`: 1 everywhere where the case has the sequence, else 0.
    """

    sequence: str
    offset: int = 0
    kind: Literal["image", "availability"] = "image"


def seen_sequences(plan: Plan, configuration: Configuration) -> tuple[str, ...]:
    """Names of the sequences that a configuration's network sees, in the plan's order."""
    chosen = configuration.sequences
    return tuple(channel.name for channel in plan.channels if chosen is None or channel.name in chosen)


def input_channels(plan: Plan, configuration: Configuration) -> tuple[NetworkInput, ...]:
    """Return the channels of a configuration's input: slices sequence by sequence, then the availability code.

    Args:
        plan: plan that names the sequences.
        configuration: configuration that decides which sequences the network sees, with how many neighbours, and
            whether the availability code is added.
    """
    sequences = seen_sequences(plan, configuration)
    offsets = range(-configuration.neighbours, configuration.neighbours + 1)
    slices = [NetworkInput(sequence, offset) for sequence in sequences for offset in offsets]
    codes = [NetworkInput(sequence, kind="availability") for sequence in sequences]
    return (*slices, *codes) if configuration.availability_code else tuple(slices)


@dataclass(frozen=True)
class InputLayout:
    """The rule by which a network's input is assembled from the channels of a preprocessed case.

    Args:
        channels: descriptions of the channels of the network's input, in order.
        sequences: names of the sequences that these channels are made from.
        places: index of each of these sequences among the preprocessed channels.
        halo: number of voxels (z, y, x) to read beyond the patch on each side, for neighbouring slices.
    """

    channels: tuple[NetworkInput, ...]
    sequences: tuple[str, ...]
    places: tuple[int, ...]
    halo: Shape = NO_HALO

    @classmethod
    def of(cls, plan: Plan, configuration: Configuration) -> InputLayout:
        """Return the layout of the input that a configuration's network is trained with."""
        sequences = seen_sequences(plan, configuration)
        names = [channel.name for channel in plan.channels]
        z, y, x = (configuration.neighbours if axis == configuration.slice_axis else 0 for axis in range(3))
        return cls(
            input_channels(plan, configuration), sequences, tuple(names.index(name) for name in sequences), (z, y, x)
        )

    @classmethod
    def plain(cls, count: int) -> InputLayout:
        """Return the layout whose input is `count` preprocessed channels, unchanged."""
        names = tuple(str(i) for i in range(count))
        return cls(tuple(NetworkInput(name) for name in names), names, tuple(range(count)))

    def available(self, present: Sequence[bool]) -> tuple[bool, ...]:
        """Return for each of `sequences` whether the case has it.

        Args:
            present: for each preprocessed channel, whether the case has it.
        """
        return tuple(present[place] for place in self.places)

    def assemble(self, region: NDArray[np.float32], available: Sequence[bool]) -> NDArray[np.float32]:
        """Assemble the network's input for one patch.

        Args:
            region: (sequence, z, y, x) intensities of `sequences` in the patch, with `halo` on each side.
            available: for each of `sequences`, whether the network may see it; if not, its channels are zero,
                which is the mean after normalisation, and its availability code is zero too.

        Returns:
            (channel, z, y, x) float32 of the patch's size, as a copy.
        """
        size = [n - 2 * margin for n, margin in zip(region.shape[1:], self.halo, strict=True)]
        out = np.zeros((len(self.channels), *size), dtype=np.float32)
        self.fill(out, region, available)
        return out

    def fill(self, out: Any, region: Any, available: Sequence[bool]) -> None:
        """Write the network's input for one patch into `out`; the arguments are those of `assemble`.

        Args:
            out: (channel, z, y, x) of the patch's size, all zero: an array of NumPy, or a tensor.
            region: intensities with `halo`, an array or a tensor like `out`.
            available: for each of `sequences`, whether the network may see it.
        """
        for target, channel in zip(out, self.channels, strict=True):
            index = self.sequences.index(channel.sequence)
            if not available[index]:
                continue
            if channel.kind == "availability":
                target[...] = 1
            else:
                target[...] = region[index][self._shifted(channel.offset, out.shape[1:])]

    def _shifted(self, offset: int, size: Sequence[int]) -> tuple[slice, ...]:
        """Slices of the patch within its region, moved by `offset` along the axis that has a halo."""
        starts = [margin + offset if margin else 0 for margin in self.halo]
        return tuple(slice(start, start + n) for start, n in zip(starts, size, strict=True))
