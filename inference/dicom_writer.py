"""Writes predictions as DICOM SEG, each with a structured report beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cc3d
import numpy as np
from numpy.typing import NDArray

from autoseg.dataset.case import Case
from autoseg.errors import ImageError
from autoseg.image.geometry import ROUNDING_VOXELS
from autoseg.image.labels import Labels
from autoseg.image.writing.dicom_report import Measured, make_report
from autoseg.image.writing.dicom_seg import SegType, make_seg, save
from autoseg.image.writing.dicom_sources import read_source, require_source
from autoseg.image.writing.segments import NamedSegment
from autoseg.results import LABEL_MAP, WrittenFile
from autoseg.run_folder.preprocessed_case import CaseRecord
from autoseg.version import VERSION
from autoseg.whole_image.case_probabilities import CaseProbabilities
from autoseg.whole_image.export import export_probabilities

DICOM, REPORT = ".dcm", "_report.dcm"
"""Endings of a segmentation in DICOM, and of the report beside it."""


@dataclass(frozen=True)
class DicomSegWriter:
    """Writes a DICOM SEG of the image's series, and beside it a structured report.

    Args:
        labels: classes and regions of the data set.
        segments: what is written of each of them.
        kind: kind of the segmentation.
        sources: path of each case's first image, by the case's name.
        notes: what a person is told once.
    """

    labels: Labels
    segments: tuple[NamedSegment, ...]
    kind: SegType
    sources: dict[str, Path]
    notes: tuple[str, ...]
    beside_ending: str = ".nii.gz"

    @property
    def wants_probabilities(self) -> bool:
        """Whether the segmentation is of fractions."""
        return self.kind == "fractional"

    def endings(self, case: Case) -> tuple[str, ...]:
        """Those of the segmentation and of its report."""
        return DICOM, REPORT

    def begin(self) -> tuple[WrittenFile, ...]:
        """Each file has its own names."""
        return ()

    def require(self, case: Case) -> None:
        """Refuse a series that lacks an identifier that a segmentation must repeat."""
        if not case.problems:
            require_source(self.sources[case.name])

    def write(
        self,
        case: str,
        target: Path,
        classes: NDArray[np.uint8],
        record: CaseRecord,
        members: Sequence[CaseProbabilities],
    ) -> tuple[WrittenFile, ...]:
        """Write the report, and then the segmentation, so that a segmentation is never without its report."""
        source = read_source(self.sources[case])
        if not source.geometry.largest_offset(record.stored) <= ROUNDING_VOXELS:
            raise ImageError(f"{self.sources[case]}: has changed while it was predicted; predict it again")
        stored = record.reorientation.undo(classes)
        probabilities = self._probabilities(members) if self.wants_probabilities else None
        seg = make_seg(source, stored, self.labels, self.segments, self.kind, VERSION, probabilities)
        voxel_ml = float(np.prod(record.stored.spacing)) / 1000
        measured = [self._measured(stored, segment, voxel_ml) for segment in self.segments]
        report = make_report(source, seg, self.segments, measured, VERSION)
        beside = target.with_name(f"{case}{REPORT}")
        save(beside, report)
        save(target, seg.dataset)
        return WrittenFile(case, LABEL_MAP, target), WrittenFile(case, "structured report", beside)

    def _probabilities(self, members: Sequence[CaseProbabilities]) -> NDArray[np.float32]:
        """Probability (z, y, x, segment) of each class or region, without the background's; one is in memory beside."""
        found = np.empty((*members[0].record.stored.shape, len(self.labels.foreground)), np.float32)
        # of classes, the first is the background
        first = 0 if self.labels.overlapping else 1
        for number, (_, image) in enumerate(export_probabilities(members, self.labels)):
            if number >= first:
                # a mean of rounded numbers may be off by the last bit
                np.clip(image.array[0], 0, 1, out=found[..., number - first])
        return found

    def _measured(self, classes: NDArray[np.uint8], segment: NamedSegment, voxel_ml: float) -> Measured:
        mask = np.ascontiguousarray(self.labels.mask(classes, segment.number))
        lesions = int(cc3d.connected_components(mask, connectivity=26, return_N=True)[1]) if segment.lesion else None
        return Measured(int(np.count_nonzero(mask)) * voxel_ml, lesions)
