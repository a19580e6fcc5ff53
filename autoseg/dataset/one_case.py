"""Makes a case of what a program gives for one patient: images in memory or paths, one or several sequences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from autoseg.dataset.case import Case
from autoseg.dataset.inputs import read_inputs
from autoseg.errors import InputError
from autoseg.image.image import Image
from autoseg.image.in_memory import image_in_memory

NAME = "image"
"""Name of a case without a file, which begins its messages."""


def one_case(
    given: object,
    channels: tuple[str, ...],
    spacing: Sequence[float] | None = None,
    *,
    needed: Sequence[str] | None = None,
    pictures: bool = False,
) -> Case:
    """Return the case that is given.

    Args:
        given: an image with all sequences as channels, or a path as `read_inputs` takes it; or a mapping from names
            of sequences to images, or a list of images in the order of the channels, in which None, or a name that is
            not there, is a sequence that was not acquired. A TorchIO subject is taken by the names of its images.
        channels: names of the model's channels.
        spacing: spacing (z, y, x) in mm of what is given as arrays; None = there is no array.
        needed: names of the channels whose files must exist where a path's file names number the channels;
            None = all.
        pictures: whether the models are of pictures.

    Raises:
        InputError: it cannot be understood, or a path holds no image or several cases.
        ImageError: an image in memory cannot be one of a patient.
        DatasetError: a path is that of a malformed table.
    """
    if isinstance(given, str | Path):
        if spacing is not None:
            raise InputError(f"{given}: a file has a spacing of its own; give spacing for arrays alone")
        return _of_path(Path(given), channels, needed)
    if isinstance(given, Mapping):
        return _of_sequences(_by_name(given, channels), channels, spacing, pictures=pictures)
    if isinstance(given, list | tuple):
        if len(given) != len(channels):
            raise InputError(
                f"{len(given)} images are given for {len(channels)} sequences ({', '.join(channels)}); give None for "
                "one that was not acquired"
            )
        return _of_sequences(dict(zip(channels, given, strict=True)), channels, spacing, pictures=pictures)
    if len(channels) == 1:
        return _of_sequences({channels[0]: given}, channels, spacing, pictures=pictures)
    path = Path(NAME)
    held = {path: image_in_memory(given, path, spacing, pictures=pictures)}
    return Case(NAME, (path,) * len(channels), several_channels_in_one_file=True, held=held)


def _of_path(path: Path, channels: tuple[str, ...], needed: Sequence[str] | None) -> Case:
    cases = read_inputs([path], channels, needed=needed)
    if len(cases) > 1:
        raise InputError(f"{path}: holds {len(cases)} cases; give one at a time, or use autoseg.predict")
    return cases[0]


def _by_name(given: Mapping[object, object], channels: tuple[str, ...]) -> dict[str, object]:
    if hasattr(given, "get_images_dict"):
        # a TorchIO subject holds label maps and other facts too
        return {name: given[name] for name in channels if name in given}
    if unknown := [str(name) for name in given if name not in channels]:
        raise InputError(f"{', '.join(unknown)}: no such sequence; the models know {', '.join(channels)}")
    return {name: given.get(name) for name in channels}


def _of_sequences(
    given: Mapping[str, object], channels: tuple[str, ...], spacing: Sequence[float] | None, *, pictures: bool
) -> Case:
    """The case of one image for each sequence; None, or a name that is not there, was not acquired."""
    held: dict[Path, Image] = {}
    paths: dict[str, Path] = {}
    for name, image in given.items():
        if image is not None and not isinstance(image, str | Path):
            paths[name] = Path(name)
            of_array = spacing if isinstance(image, np.ndarray) else None
            held[paths[name]] = image_in_memory(image, paths[name], of_array, pictures=pictures)
    if spacing is not None and not any(isinstance(image, np.ndarray) for image in given.values()):
        raise InputError("spacing is given without an array; other images have a spacing of their own")
    for name, image in given.items():
        if isinstance(image, str | Path):
            # a file may be called like an image in memory
            paths[name] = Path(image).absolute() if Path(image) in held else Path(image)
    return Case(NAME, tuple(paths.get(name) for name in channels), held=held)
