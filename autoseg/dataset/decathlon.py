"""Reads the Medical Segmentation Decathlon's layout: `dataset.json` lists an image and a label for each case.

An image with several channels is one 4D file (Simpson et al., arXiv:1902.09063). Data sets of nnU-Net v1 have the same
`dataset.json`, which lists `a.nii.gz`, but a file for each channel: `a_0000.nii.gz`, `a_0001.nii.gz` and so on.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from autoseg.dataset.case import Case, Dataset
from autoseg.dataset.dataset_json import (
    FILE_NAME,
    CaseCount,
    ChannelNames,
    Declaration,
    LabelValues,
    is_ct,
    labels_of,
    parse,
)
from autoseg.dataset.listing import Found, checked_cases, missing, unlisted
from autoseg.dataset.names import split_ending
from autoseg.image.file_kind import why_unreadable
from autoseg.image.walk import told_by_reason


class TrainingCase(BaseModel):
    """Files of one case, relative to the data set's folder."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    image: str = Field(min_length=1)
    label: str = Field(min_length=1)


class DecathlonDeclaration(Declaration):
    """The Decathlon's `dataset.json`.

    Args:
        channel_names: names of the channels, in order; the file calls them `modality`.
        labels: value of each label in the label maps, by name.
        training: files of the training cases.
        training_count: number of training cases that the file states; None = not stated.
    """

    channel_names: ChannelNames = Field(validation_alias="modality")
    labels: LabelValues
    training: tuple[TrainingCase, ...]
    training_count: CaseCount | None = Field(None, validation_alias="numTraining")


def read_decathlon(folder: Path, document: Mapping[str, Any]) -> Dataset:
    """Read a data set in the Decathlon's layout; no voxels are read, and `imagesTs` is ignored.

    Args:
        folder: folder of the data set.
        document: content of its `dataset.json`.

    Raises:
        DatasetError: `dataset.json` is malformed.
    """
    path = folder / FILE_NAME
    declared = parse(DecathlonDeclaration, document, path)
    labels = labels_of(declared.labels, path, declared.regions_class_order)
    found = [
        _found(folder, files, len(declared.channel_names), f"{FILE_NAME}, field training.{i}")
        for i, files in enumerate(declared.training)
        # macOS writes files with this prefix beside the real ones, and some published lists name them
        if not PurePosixPath(files.image).name.startswith("._")
    ]
    warnings = []
    if declared.training_count is not None and declared.training_count != len(found):
        warnings.append(f"{path}, field numTraining: {declared.training_count}, but training lists {len(found)} cases")
    if numbered := sum(_is_numbered(folder / PurePosixPath(files.image)) for files in declared.training):
        warnings.append(
            f"{path}: {numbered} of {len(declared.training)} images of its list are files numbered by channel "
            "(_0000), as nnU-Net v1 has them; they are read so"
        )
    first = next((image for item in found for image in item.case.images if image is not None), None)
    return Dataset(
        name=declared.name or folder.absolute().name,
        layout="decathlon",
        channels=declared.channel_names,
        ct=tuple(is_ct(channel) for channel in declared.channel_names),
        labels=labels,
        cases=checked_cases(found),
        file_ending=(split_ending(first)[1] if first else "") or ".nii.gz",
        folder=folder,
        warnings=tuple(warnings),
        left_out=tuple(told_by_reason(folder, unlisted(found, f"not in the field training of {FILE_NAME}"))),
        description=declared.description,
        synthetic=declared.synthetic,
    )


def _found(folder: Path, files: TrainingCase, channels: int, where: str) -> Found:
    image, label = folder / PurePosixPath(files.image), folder / PurePosixPath(files.label)
    numbered = _is_numbered(image)
    images = tuple(_of_channel(image, i) for i in range(channels)) if numbered else (image,) * channels
    problems = [text for one in dict.fromkeys(images) for text in missing(one, f"{where}.image")]
    if numbered and why_unreadable(more := _of_channel(image, channels)) is None:
        problems.append(f"wrong number of channels: {more.name}, but {FILE_NAME} declares {channels}")
    case = Case(
        name=split_ending(image)[0],
        images=images,
        label=label,
        several_channels_in_one_file=channels > 1 and not numbered,
        problems=(*problems, *missing(label, f"{where}.label")),
    )
    return Found(case, where)


def _is_numbered(image: Path) -> bool:
    """Whether a listed image stands for files numbered by channel, as in nnU-Net v1."""
    return why_unreadable(image) is not None and why_unreadable(_of_channel(image, 0)) is None


def _of_channel(image: Path, channel: int) -> Path:
    stem, ending = split_ending(image)
    return image.with_name(f"{stem}_{channel:04d}{ending}")
