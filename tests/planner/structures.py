"""Fingerprints whose classes have a given size, number of pieces and place."""

from collections.abc import Mapping, Sequence

from autoseg.dataset.fingerprint import ClassFingerprint, Fingerprint


def with_structures(
    measured: Fingerprint,
    components: Mapping[str, Sequence[float]],
    centroids: Mapping[str, float] | None = None,
) -> Fingerprint:
    """The fingerprint with the same structures in every case.

    Args:
        measured: of cases; its labels are replaced by a background and the names in `components`.
        components: by class, volumes in mm³ of its connected components, largest first.
        centroids: by class, place along x as a share of the width; the middle where not given.
    """
    names = ("background", *components)
    classes = {
        name: ClassFingerprint(
            volume_mm3=sum(volumes),
            components_mm3=tuple(volumes),
            centroid_x=(centroids or {}).get(name, 0.5) if volumes else None,
        )
        for name, volumes in components.items()
    }
    return measured.changed(
        labels=measured.labels.changed(values=tuple(range(len(names))), names=names),
        cases=tuple(case.changed(classes=classes) for case in measured.cases),
    )
