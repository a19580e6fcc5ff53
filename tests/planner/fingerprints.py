"""Fingerprints for tests, from lists of spacings and shapes."""

from collections.abc import Sequence

from autoseg.dataset.fingerprint import CaseFingerprint, Fingerprint
from autoseg.image.geometry import Shape, Spacing
from autoseg.image.labels import Labels
from autoseg.plan.plan import ForegroundIntensity


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
    cases = tuple(
        CaseFingerprint(
            case=f"{name}_{i}",
            shape=shape,
            cropped_shape=shape,
            spacing=spacing,
            orientation="SPL",
            present=(True,) * len(modalities),
            classes={},
        )
        for i, (spacing, shape) in enumerate(zip(spacings, shapes, strict=True))
    )
    intensity = ForegroundIntensity(mean=0, sd=1, median=0, percentile_00_5=-1, percentile_99_5=1)
    return Fingerprint(
        dataset=name,
        channels=tuple(f"channel {i}" for i in range(len(modalities))),
        modality=tuple(modalities),
        labels=Labels(values=tuple(range(classes)), names=tuple(f"class {i}" for i in range(classes))),
        intensities=(intensity,) * len(modalities),
        median_relative_size_after_crop=relative_size,
        cases=cases,
    )
