"""Jittered images: prepared images as another scanner might have shown them, with other contrast or more noise.

How far predictions of the same image and of jittered ones agree tells how sure a single network is (Wang et al.,
Neurocomputing 2019, section 3: uncertainty by test-time augmentation). The jitter is one that training augments with
too, so that a network that is sure of a case predicts the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Jitter:
    """How a prepared image is changed.

    Args:
        contrast: factor on all intensities, which are normalised to a mean near 0.
        noise: standard deviation of normally distributed noise, in the same unit.
    """

    contrast: float = 1.0
    noise: float = 0.0


AS_IT_IS = Jitter()
JITTERS = (AS_IT_IS, Jitter(contrast=0.8), Jitter(contrast=1.25), Jitter(noise=0.2))
"""Within the ranges of nnU-Net's augmentation (Isensee et al., Nature Methods 2021, supplementary note 2): contrast of
0.75 to 1.25, noise of a variance up to 0.1."""


def jittered(
    image: NDArray[np.float32], jitter: Jitter, present: Sequence[bool], *, seed: int, case: str
) -> NDArray[np.float32]:
    """Return a prepared image (channel, z, y, x) that is jittered; the same one for the same seed and case.

    Args:
        image: prepared image (channel, z, y, x), which stays as it is.
        jitter: how it is changed.
        present: for each channel whether the case has it; others stay as they are.
        seed: seed of the plan.
        case: name of the case.
    """
    if jitter == AS_IT_IS:
        return image
    changed = image * np.float32(jitter.contrast)
    rng = np.random.default_rng([seed, crc32(case.encode())])
    for channel, there in enumerate(present):
        if not there:
            changed[channel] = image[channel]
        elif jitter.noise:
            # plane by plane, so that the noise takes no memory of an image
            for plane in changed[channel]:
                plane += np.float32(jitter.noise) * rng.standard_normal(plane.shape, np.float32)
    return changed
