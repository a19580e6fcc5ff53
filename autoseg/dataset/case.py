"""A raw data set as it lies on the disk: cases, their files and what the data set declares."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from autoseg.image.labels import Labels


@dataclass(frozen=True)
class Case:
    """One annotated (or, for prediction, one unannotated) case.

    Args:
        name: as the data set calls it.
        images: a file (or folder of DICOM slices) for each channel; None where that sequence was
            not acquired.
        label: its label map; None for prediction.
        patient: cases of one patient stay in one fold; None = its own.
        strata: values of the stratification columns, such as `{"lesion_type": "lytic"}`.
        several_channels_in_one_file: `images` repeats one 4D file; channel i is its i-th, or, where
            some are None, the i-th of those that are not.
        problems: what was found wrong when the data set was listed, one sentence each; the check
            reports them with all others, and reading the case raises them.
    """

    name: str
    images: tuple[Path | None, ...]
    label: Path | None = None
    patient: str | None = None
    strata: dict[str, str] = field(default_factory=dict)
    several_channels_in_one_file: bool = False
    problems: tuple[str, ...] = ()

    @property
    def present(self) -> tuple[bool, ...]:
        """For each channel whether the sequence was acquired."""
        return tuple(image is not None for image in self.images)


@dataclass(frozen=True)
class Dataset:
    """Training cases of a raw data set.

    Args:
        name: of the data set.
        layout: "nnunet", "decathlon" or "table".
        channels: names of the channels (sequences), in order.
        ct: for each channel whether it is CT (Hounsfield units).
        labels: values and names of the classes.
        cases: in the data set's order.
        file_ending: of image files, for predictions (".nii.gz").
        folder: that it lies in; paths are remembered relative to it, so that the data set can be moved.
        problems: what was found wrong when it was listed and belongs to no case.
        warnings: what was found odd when it was listed.
        description: in the words of its `dataset.json`; may be empty.
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
    description: str = ""
