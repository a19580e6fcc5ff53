"""A raw data set: its cases, their files, and the channels and labels that it declares. No voxels are held."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from autoseg.image.annotated_classes import EVERY, AnnotatedClasses
from autoseg.image.flat.resolution import PixelSpacing
from autoseg.image.labels import Labels

if TYPE_CHECKING:
    # SimpleITK takes long to import
    from autoseg.image.image import Image


@dataclass(frozen=True)
class Case:
    """One annotated (or, for prediction, one unannotated) case.

    Args:
        name: name of the case in the data set.
        images: a file (or folder of DICOM slices) for each channel; None where that sequence was
            not acquired.
        label: file of the label map; None for prediction.
        patient: identifier of the patient, whose cases all stay in one fold; None = a patient with this case only.
        strata: values of the stratification columns, such as `{"lesion_type": "lytic"}`.
        several_channels_in_one_file: whether all entries of `images` are the same 4D file. Its i-th volume is
            channel i; a file with as many volumes as there are entries other than None holds those alone, in order.
        drawn_on: sequence that the label was drawn on, where the data set says so; None = it does not.
        problems: errors found while the data set was listed, one sentence each; the check
            reports them with all others, and reading the case raises them.
        held: images that are in memory, by the path in `images` that stands for each of them, and names it in
            messages; files are read for the others.
        colours: whether its channels are the colours of a picture.
        pixel_spacing: spacing (y, x) in mm with which pictures are read; None = as their files state, else 1 mm.
        annotated: classes that were looked for in the label map; other classes may be there all the same.
    """

    name: str
    images: tuple[Path | None, ...]
    label: Path | None = None
    patient: str | None = None
    strata: dict[str, str] = field(default_factory=dict)
    several_channels_in_one_file: bool = False
    drawn_on: str | None = None
    problems: tuple[str, ...] = ()
    held: Mapping[Path, Image] = field(default_factory=dict)
    colours: bool = False
    pixel_spacing: PixelSpacing | None = None
    annotated: AnnotatedClasses = EVERY

    @property
    def present(self) -> tuple[bool, ...]:
        """For each channel whether the sequence was acquired."""
        return tuple(image is not None for image in self.images)

    @property
    def first_image(self) -> Path | None:
        """The image of the first sequence that was acquired, whose grid is the case's; None where none was."""
        return next((image for image in self.images if image is not None), None)


@dataclass(frozen=True)
class Dataset:
    """Training cases of a raw data set.

    Args:
        name: name of the data set.
        layout: "nnunet", "decathlon", "table", or in words how a folder without any of them was understood.
        channels: names of the channels (sequences), in order.
        ct: for each channel whether it is CT (Hounsfield units).
        labels: values and names of the classes.
        cases: training cases, in the data set's order.
        file_ending: ending of the image files, such as ".nii.gz", which predictions get too.
        folder: folder of the data set; paths are recorded relative to it, so that the data set can be moved.
        problems: errors found while the data set was listed that belong to no case, one sentence each.
        warnings: unusual facts found while the data set was listed, one sentence each.
        left_out: files that are not used, a sentence for each reason.
        description: description in its `dataset.json`; may be empty.
        synthetic: whether its `dataset.json` states that the images are synthetic; None = it does not say.
        pixel_spacing: spacing (y, x) in mm with which its pictures are read; None = as their files state.
    """

    name: str
    layout: str
    channels: tuple[str, ...]
    ct: tuple[bool, ...]
    labels: Labels
    cases: tuple[Case, ...]
    file_ending: str = ".nii.gz"
    folder: Path = Path()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    description: str = ""
    synthetic: bool | None = None
    pixel_spacing: PixelSpacing | None = None
