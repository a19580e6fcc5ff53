"""Decides which channels are CT, that is, hold Hounsfield units: by name, DICOM, values, or as the user says.

A channel named CT is one, as in nnU-Net. Any other is one where most of its images are CT by DICOM, or hold whole
numbers from -900 and below, as air in a CT has; not so where it has the name of another sequence, such as T1. Where
name and values disagree, the user is told before anything is planned.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from autoseg.dataset.dataset_json import is_ct
from autoseg.dataset.folder.words import split_name
from autoseg.errors import InputError

AIR = -900
"""Air has -1000 Hounsfield units, give or take noise."""

_BELOW_AIR, _PADDINGS = -1100, 3

NONE = "none"
"""What a user gives instead of a channel where there is no CT."""

_SAMPLED = 100_000
_MOST = 0.5
_WORD = re.compile(r"[^\W_]+")


def reaches_air(volume: NDArray[np.float32]) -> bool:
    """Whether the values of an image (z, y, x) go down to -900 or less."""
    return volume.size > 0 and float(volume.min()) <= AIR


def looks_like_ct(volume: NDArray[np.float32]) -> bool:
    """Whether the values of an image (z, y, x) look like Hounsfield units: whole, and down to -900 or less."""
    if not reaches_air(volume):
        return False
    sample = volume.ravel()[:: max(1, volume.size // _SAMPLED)]
    # below air there are only the values of padding, unlike in phase images, which have all values from -4096 on
    below = np.unique(sample[sample < _BELOW_AIR])
    return bool((np.rint(sample) == sample).all()) and len(below) <= _PADDINGS


def asked_for(channels: Sequence[str], asked: Sequence[str]) -> tuple[bool, ...]:
    """For each channel whether the user names it as CT.

    Args:
        channels: names of the channels.
        asked: names that the user gave; `none` alone = no channel.

    Raises:
        InputError: there is no such channel.
    """
    wanted = [] if [name.casefold() for name in asked] == [NONE] else list(asked)
    known = {name.casefold() for name in channels}
    for name in wanted:
        if name.casefold() not in known:
            raise InputError(f"--ct {name}: there is no such channel; there are {', '.join(channels)}, or {NONE}")
    chosen = {name.casefold() for name in wanted}
    return tuple(name.casefold() in chosen for name in channels)


def decide(
    channels: Sequence[str], present: Sequence[Sequence[bool]], alike: Sequence[Sequence[bool]]
) -> tuple[bool, ...]:
    """For each channel whether it is CT, by its name and the values of its images.

    Args:
        channels: names of the channels.
        present: for each case and channel whether there is an image.
        alike: for each case and channel whether the values of the image look like CT.
    """
    most = _most(len(channels), present, alike)
    return tuple(
        is_ct(name) or (by_values and not _is_another_sequence(name))
        for name, by_values in zip(channels, most, strict=True)
    )


def notes(
    channels: Sequence[str],
    ct: Sequence[bool],
    present: Sequence[Sequence[bool]],
    alike: Sequence[Sequence[bool]],
    low: Sequence[Sequence[bool]],
) -> tuple[str, ...]:
    """A sentence for each channel whose name and values do not say the same as what it is taken for.

    Args:
        channels: names of the channels.
        ct: for each channel whether it is taken for CT.
        present: for each case and channel whether there is an image.
        alike: for each case and channel whether the values of the image look like CT.
        low: for each case and channel whether the values of the image go as low as air in a CT.
    """
    told = []
    most, deep = (_most(len(channels), present, values) for values in (alike, low))
    for i, (name, taken, by_values) in enumerate(zip(channels, ct, most, strict=True)):
        total, like = sum(case[i] for case in present), sum(case[i] for case in alike)
        counted = f"{like} of {total} images are CT by DICOM or hold whole numbers from {AIR} and below"
        if taken and by_values and not is_ct(name):
            told.append(f"channel {name} is taken for CT: {counted}. If it is none, give --ct {NONE}")
        elif taken and not by_values:
            told.append(
                f"channel {name} is taken for CT, but only {counted}, as air in a CT has. Are these Hounsfield units? "
                f"If not, rename it, or give --ct {NONE}"
            )
        elif not taken and by_values:
            told.append(f"channel {name} is not taken for CT, although {counted}. If it is one, give --ct {name}")
        elif not taken and _has_the_word(name):
            told.append(f"channel {name} is not taken for CT: only {counted}. If it is one, give --ct {name}")
        elif not taken and deep[i] and not _is_another_sequence(name):
            reaching = sum(case[i] for case in low)
            told.append(
                f"channel {name} is not taken for CT: {reaching} of {total} images reach {AIR} and below, but not in "
                f"whole numbers that end at air. If it is a CT, such as one that was resampled, give --ct {name}"
            )
    return tuple(told)


def _most(count: int, present: Sequence[Sequence[bool]], alike: Sequence[Sequence[bool]]) -> list[bool]:
    """For each channel whether most of its images look like CT."""
    totals = [sum(case[i] for case in present) for i in range(count)]
    return [sum(case[i] for case in alike) > _MOST * totals[i] for i in range(count)]


def _has_the_word(name: str) -> bool:
    return any(is_ct(word) for word in _WORD.findall(name))


def _is_another_sequence(name: str) -> bool:
    return split_name(name).sequence not in ("", "CT", "CBCT") and not _has_the_word(name)
