"""Checks whether an image can be predicted, and whether it differs far from the training cases."""

from __future__ import annotations

import math

import numpy as np

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.dataset.load import LoadedCase
from autoseg.errors import ImageError
from autoseg.image.resampled_size import in_mm, resampled_voxels, why_impossible
from autoseg.memory import total_memory
from autoseg.number_text import number_text, range_text
from autoseg.plan.configuration import Configuration
from autoseg.plan.network_input import seen_sequences
from autoseg.plan.plan import Channel, Plan
from inference.slice_check import unusual_thickness

# Factors that no scanner setting explains; narrower limits would warn about every second image.
FAR_INTENSITY = 10.0
FAR_SPACING = 2.0
# About this many voxels suffice for percentiles.
_SAMPLE = 1_000_000
# of a voxel at the network's spacing: the image in float32, probabilities in float16
_BYTES_OF_CHANNEL, _BYTES_OF_CLASS = 4, 2


def require_predictable(loaded: LoadedCase, channels: tuple[str, ...]) -> None:
    """Refuse an image that cannot be predicted.

    Args:
        loaded: image of the case, with the list of the sequences that are present.
        channels: name of each channel, for messages.

    Raises:
        ImageError: a channel that is present holds NaN or infinite voxels, or the same value in every voxel; or
            every sequence is absent.
    """
    if not any(loaded.present):
        raise ImageError(f"no sequence is there; needed is at least one of {', '.join(channels)}")
    for name, present, image in zip(channels, loaded.present, loaded.image, strict=True):
        if not present:
            continue
        lowest, highest = float(image.min()), float(image.max())
        if not (np.isfinite(lowest) and np.isfinite(highest)):
            raise ImageError(f"{name}: has voxels that are NaN or infinite; repair or export the image again")
        if lowest == highest:
            raise ImageError(f"{name}: every voxel is {lowest:g}; export the image again")


def require_pixel_size(loaded: LoadedCase, fingerprint: Fingerprint) -> None:
    """Refuse a picture whose pixels have no size, where the models were trained with images that state theirs.

    Args:
        loaded: image of the case.
        fingerprint: properties of the training cases.

    Raises:
        ImageError: the file states no resolution.
    """
    if loaded.sized_by != "assumed":
        return
    spacings = np.array([case.spacing[1:] for case in fingerprint.cases])
    volumes = "" if any(1 in case.shape for case in fingerprint.cases) else "volumes of "
    raise ImageError(
        f"the file states no size of its pixels, and the models were trained with {volumes}"
        f"{range_text(spacings.min(), spacings.max())} mm a pixel; state it in the file (resolution of TIFF or PNG), "
        "or save the image as NIfTI with its spacing"
    )


def require_possible_size(loaded: LoadedCase, plan: Plan, configuration: Configuration) -> None:
    """Refuse an image that at the network's spacing would be absurdly large or small, or more than memory holds.

    Args:
        loaded: image of the case.
        plan: gives the channels and classes.
        configuration: says which spacing the image is resampled to, and how many voxels the training cases have there.

    Raises:
        ImageError: the image cannot be meant so; the message says what was expected.
    """
    target = configuration.target_spacing(loaded.geometry.spacing)
    if reason := why_impossible(loaded.geometry, target, math.prod(configuration.median_shape)):
        raise ImageError(f"{reason}; expected is what the model was trained with")
    # the crop to non-zero is at most the image; what is counted here is held at the same time
    per_voxel = _BYTES_OF_CHANNEL * len(plan.channels) + _BYTES_OF_CLASS * plan.labels.outputs
    needed, there = per_voxel * resampled_voxels(loaded.geometry, target), total_memory()
    if needed > there:
        raise ImageError(
            f"at {in_mm(target)} the image and its probabilities take {needed / 1e9:.0f} GB of memory, and this "
            f"machine has {there / 1e9:.0f} GB; crop the image, or predict it on a larger machine"
        )


def unusual(loaded: LoadedCase, plan: Plan, fingerprint: Fingerprint, configuration: Configuration) -> tuple[str, ...]:
    """Warnings about intensities, spacing, thickness and sequences that differ far from the training cases.

    Args:
        loaded: image of the case.
        plan: gives name and foreground intensities of each channel.
        fingerprint: properties of the training cases.
        configuration: says which sequences its network sees, and whether it was trained with some left out.
    """
    found = [*_unusual_spacing(loaded, fingerprint), *unusual_thickness(loaded, fingerprint, configuration)]
    needed = () if configuration.training.sequence_dropout else seen_sequences(plan, configuration)
    for index, channel in enumerate(plan.channels):
        if loaded.present[index]:
            found += unusual_intensity(loaded.image[index], channel)
        elif channel.name in needed and all(case.present[index] for case in fingerprint.cases):
            found.append(f"{channel.name} is absent, and every training case had it")
    return tuple(found)


def _unusual_spacing(loaded: LoadedCase, fingerprint: Fingerprint) -> list[str]:
    trained = np.array([case.spacing for case in fingerprint.cases])
    found = []
    for axis, spacing in zip("zyx", range(3), strict=True):
        lowest, highest = trained[:, spacing].min(), trained[:, spacing].max()
        value = loaded.geometry.spacing[spacing]
        if not lowest / FAR_SPACING <= value <= highest * FAR_SPACING:
            found.append(
                f"spacing along {axis} is {number_text(value, 3)} mm, in training {range_text(lowest, highest, 3)} mm"
            )
    return found


def unusual_intensity(image: np.ndarray, channel: Channel) -> list[str]:
    """Compare the non-zero voxels of an image (z, y, x) with the foreground of the training cases.

    An image holds more than foreground, so its range may well be wider. It is unusual where it does not overlap the
    foreground's range at all, or where its scale is another. Scanners scale MR arbitrarily: a range much narrower
    than that of all training cases together is unusual in CT only.

    Returns:
        One sentence if the intensities are unusual, otherwise an empty list.
    """
    voxels = image[image != 0]
    low, high = np.percentile(voxels[:: max(1, voxels.size // _SAMPLE)], (0.5, 99.5))
    trained = channel.foreground
    bottom, top = trained.percentile_00_5, trained.percentile_99_5
    width = max(top - bottom, 1e-6 * max(abs(top), abs(bottom), 1.0))
    misses = high < bottom or low > top
    wider = high > top + FAR_INTENSITY * width
    narrower = channel.normalization == "ct" and high - low < width / FAR_INTENSITY
    if not (misses or wider or narrower):
        return []
    return [
        f"intensities of {channel.name} lie between {number_text(low)} and {number_text(high)} (0.5 and 99.5 "
        f"percentile), those of the training foreground between {number_text(bottom)} and {number_text(top)}"
    ]
