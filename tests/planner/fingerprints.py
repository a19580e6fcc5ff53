"""Fingerprints for tests, from lists of spacings and shapes."""

from collections.abc import Sequence

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.image.geometry import Shape, Spacing
from autoseg.image.labels import Labels
from tests.example_fingerprint import example_case_fingerprint, example_fingerprint


def fingerprint(
    spacings: Sequence[Spacing],
    shapes: Sequence[Shape],
    *,
    name: str = "test",
    modalities: Sequence[str] = ("other",),
    classes: int = 3,
    relative_size: float = 1.0,
) -> Fingerprint:
    """A fingerprint with the given spacings in mm and cropped shapes in voxels, both (z, y, x)."""
    present = (True,) * len(modalities)
    cases = [
        example_case_fingerprint(f"{name}_{i}", shape=shape, spacing=spacing, present=present)
        for i, (spacing, shape) in enumerate(zip(spacings, shapes, strict=True))
    ]
    return example_fingerprint(
        cases,
        dataset=name,
        channels=[f"channel {i}" for i in range(len(modalities))],
        modality=tuple(modalities),
        median_relative_size_after_crop=relative_size,
        labels=Labels(values=tuple(range(classes)), names=tuple(f"class {i}" for i in range(classes))),
    )
