"""Reads nnU-Net v2's raw layout: `dataset.json`, `imagesTr/CASE_0000.nii.gz`, `labelsTr/CASE.nii.gz`.

The optional field `dataset` of `dataset.json` lists the files of each case; if present, it replaces the naming
convention.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

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
from autoseg.dataset.names import entries, split_channel
from autoseg.errors import DatasetError
from autoseg.image.flat.kind import COLOURS, are_colours, is_picture
from autoseg.image.text_headers import SEGMENTATION_ENDING
from autoseg.image.walk import LeftOut, told_by_reason

# names of channels that stand for a normalisation in nnU-Net, release 2.8.1
_OTHER_SCHEMES, _OF_PICTURES = ("nonorm", "rescale_to_0_1"), "rgb_to_0_1"


class NnunetCaseFiles(BaseModel):
    """Files of one case, relative to the data set's folder."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    images: tuple[str, ...]
    label: str


class NnunetDeclaration(Declaration):
    """nnU-Net's `dataset.json`.

    Args:
        channel_names: names of the channels, in order; the older field name `modality` is accepted too.
        labels: value of each label in the label maps, by name.
        file_ending: ending of images and labels, such as ".nii.gz".
        training_count: number of training cases that the file states; None = not stated.
        dataset: files of each case, by case name; None = files follow the naming convention.
    """

    channel_names: ChannelNames = Field(validation_alias=AliasChoices("channel_names", "modality"))
    labels: LabelValues
    file_ending: str = Field(pattern=r"^\..+")
    training_count: CaseCount | None = Field(None, validation_alias="numTraining")
    dataset: dict[str, NnunetCaseFiles] | None = None


def read_nnunet(folder: Path, document: Mapping[str, Any]) -> Dataset:
    """Read a data set in nnU-Net's layout; no voxels are read.

    Args:
        folder: folder of the data set.
        document: content of its `dataset.json`.

    Raises:
        DatasetError: `dataset.json` is malformed, or it lists no files and `imagesTr` or `labelsTr` is missing.
    """
    path = folder / FILE_NAME
    declared = parse(NnunetDeclaration, document, path)
    labels = labels_of(declared.labels, path, declared.regions_class_order)
    channels = COLOURS if are_colours(declared.channel_names) else declared.channel_names
    problems: list[str] = []
    left_out: list[LeftOut] = []
    if declared.dataset is not None:
        found = _listed(folder, declared.dataset, channels)
        left_out = unlisted(found, f"not in the field dataset of {FILE_NAME}")
    else:
        found, problems = _by_convention(folder, channels, declared.file_ending)
        left_out = _of_other_ending(folder, declared.file_ending)
    warnings = []
    if declared.training_count is not None and declared.training_count != len(found):
        warnings.append(f"{path}, field numTraining: {declared.training_count}, but {len(found)} cases were found")
    warnings += _other_schemes(declared.channel_names, path, pictures=is_picture(Path(f"a{declared.file_ending}")))
    return Dataset(
        name=declared.name or folder.absolute().name,
        layout="nnunet",
        channels=channels,
        ct=tuple(is_ct(channel) for channel in channels),
        labels=labels,
        cases=checked_cases(found),
        file_ending=declared.file_ending,
        folder=folder,
        problems=tuple(problems),
        warnings=tuple(warnings),
        left_out=tuple(told_by_reason(folder, left_out)),
        description=declared.description,
        synthetic=declared.synthetic,
    )


def _other_schemes(names: Sequence[str], path: Path, *, pictures: bool) -> list[str]:
    """A warning about channels by whose names nnU-Net chooses a normalisation that autoseg does not have."""
    unknown = _OTHER_SCHEMES if pictures else (*_OTHER_SCHEMES, _OF_PICTURES)
    return [
        f"{path}: channel {name}: by this name nnU-Net chooses how to normalise; here the channel is z-scored"
        for name in dict.fromkeys(names)
        if name.casefold() in unknown
    ]


def _listed(folder: Path, files: Mapping[str, NnunetCaseFiles], channels: tuple[str, ...]) -> list[Found]:
    found = []
    for name, case in files.items():
        images, label = tuple(folder / image for image in case.images), folder / case.label
        where = f"{FILE_NAME}, field dataset.{name}"
        if in_one_file := are_colours(channels) and len(images) == 1 and is_picture(images[0]):
            images *= len(channels)
        problems = [
            text for i, image in enumerate(images[: len(case.images)]) for text in missing(image, f"{where}.images.{i}")
        ]
        problems += missing(label, f"{where}.label")
        if len(images) != len(channels):
            problems.append(
                f"wrong number of channels: {where}.images lists {len(case.images)} files, "
                f"declared are {len(channels)} channels"
            )
        found.append(Found(_case_of(name, images, label, problems, in_one_file), where))
    return found


def _case_of(
    name: str, images: tuple[Path | None, ...], label: Path | None, problems: list[str], in_one_file: bool
) -> Case:
    """A case; the colours of a picture are the channels of one file."""
    told = tuple(problems)
    return Case(name, images, label, several_channels_in_one_file=in_one_file, problems=told, colours=in_one_file)


def _by_convention(folder: Path, channels: tuple[str, ...], ending: str) -> tuple[list[Found], list[str]]:
    """Return the cases in `imagesTr` and `labelsTr`, and the problems that belong to no case."""
    images, labels = folder / "imagesTr", folder / "labelsTr"
    absent = [part for part in (images, labels) if not part.is_dir()]
    if absent:
        raise DatasetError([f"{part}: does not exist; the training cases are expected there" for part in absent])
    numbered: dict[str, dict[int, Path]] = {}
    problems = []
    for name, file in _with_ending(images, ending):
        split = split_channel(name)
        if split is None:
            problems.append(f"{file}: its name lacks the number of the channel, such as {name}_0000{ending}")
        else:
            numbered.setdefault(split[0], {})[split[1]] = file
    segmented = dict(_with_ending(labels, SEGMENTATION_ENDING))
    plain = dict(_with_ending(labels, ending))
    # an ending of `.nrrd` is that of the segmentations too
    annotated = {name: file for name, file in plain.items() if not file.name.endswith(SEGMENTATION_ENDING)}
    problems += [
        f"{labels}: {annotated[name].name} and {file.name} are both the label of {name}; remove one"
        for name, file in segmented.items()
        if name in annotated
    ]
    annotated |= segmented
    found = []
    for name in sorted(set(numbered) | set(annotated)):
        case = _case(name, numbered.get(name, {}), annotated.get(name), channels, images, labels / f"{name}{ending}")
        found.append(Found(case, "imagesTr"))
    if not found:
        problems.append(f"{images}: holds no image that ends in {ending} (field file_ending of {FILE_NAME})")
    return found, problems


def _case(
    name: str, files: dict[int, Path], label: Path | None, channels: tuple[str, ...], folder: Path, expected: Path
) -> Case:
    if in_one_file := are_colours(channels) and set(files) == {0} and is_picture(files[0]):
        files = dict.fromkeys(range(len(channels)), files[0])
    lacking = [f"{channel} (_{i:04d})" for i, channel in enumerate(channels) if i not in files]
    extra = [file.name for i, file in sorted(files.items()) if i >= len(channels)]
    problems = []
    if not files:
        problems.append(f"missing file: has the label {label}, but no image in {folder}")
    elif lacking:
        colours = "; pictures in colour have the channels R, G and B" if is_picture(next(iter(files.values()))) else ""
        problems.append(f"wrong number of channels: no file in {folder} for {', '.join(lacking)}{colours}")
    if extra:
        problems.append(
            f"wrong number of channels: {', '.join(extra)}, but {FILE_NAME} declares {len(channels)} "
            f"({', '.join(channels)})"
        )
    if label is None:
        problems.append(f"missing file: has no label, {expected} does not exist")
    return _case_of(name, tuple(files.get(i) for i in range(len(channels))), label, problems, in_one_file)


def _with_ending(folder: Path, ending: str) -> Iterable[tuple[str, Path]]:
    """Yield name without ending, and path, of each file in a folder that has this ending.

    An accent may be a sign of its own in one name and part of its letter in the other (NFD, NFC): both are one name.
    """
    for entry in entries(folder):
        if _has(entry, ending):
            yield unicodedata.normalize("NFC", entry.name[: -len(ending)]), entry


def _has(entry: Path, ending: str) -> bool:
    return entry.name.endswith(ending) and len(entry.name) > len(ending)


def _of_other_ending(folder: Path, ending: str) -> list[LeftOut]:
    """What lies among the images and labels and is not read."""
    why = f"does not end in {ending}, as the field file_ending of {FILE_NAME} says"
    lying = [entry for part in (folder / "imagesTr", folder / "labelsTr") for entry in entries(part)]
    return [LeftOut(entry, why) for entry in lying if not _has(entry, ending)]
