"""The fingerprint that tests start from: equal channels, and cases without any structure.

A test names what it relies on by keyword; it is validated like the fields of a fingerprint file.
"""

from collections.abc import Sequence

from autoseg.dataset.fingerprint import CaseFingerprint, ClassFingerprint, Fingerprint
from tests.example_plan import FOREGROUND, LABELS


def example_case_fingerprint(name: str = "case_0", **changes: object) -> CaseFingerprint:
    """A case of one channel without any class; its crop is the whole image, unless `cropped_shape` is given."""
    shape = changes.get("shape", (32, 32, 32))
    fields = {
        "case": name,
        "shape": shape,
        "cropped_shape": shape,
        "spacing": (1.0, 1.0, 1.0),
        "orientation": "SPL",
        "present": (True,),
        "classes": {},
    }
    return CaseFingerprint.model_validate(fields | changes)


def one_structure(volume_mm3: float) -> ClassFingerprint:
    """A class that is one connected component in the middle of the image."""
    return ClassFingerprint(volume_mm3=volume_mm3, components_mm3=(volume_mm3,), centroid_x=0.5)


def example_fingerprint(
    cases: Sequence[CaseFingerprint], *, channels: Sequence[str] = ("T1",), **changes: object
) -> Fingerprint:
    """A data set of the cases, whose channels are no CT and have the same intensities."""
    fields = {
        "dataset": "example",
        "channels": tuple(channels),
        "modality": ("other",) * len(channels),
        "labels": LABELS,
        "intensities": (FOREGROUND,) * len(channels),
        "median_relative_size_after_crop": 1.0,
        "cases": tuple(cases),
    }
    return Fingerprint.model_validate(fields | changes)
