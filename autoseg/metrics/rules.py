"""The definitions of all metrics as sentences, for the reader of an evaluation."""

from __future__ import annotations

from autoseg.image.labels import Labels


def rules(tolerance_mm: float) -> tuple[str, ...]:
    """Return the definitions of the metrics that `summary.json` and the report state.

    Args:
        tolerance_mm: distance in mm up to which surfaces agree, for the surface Dice.
    """
    return (
        "Everything is measured on the images' own voxel grid, class by class, against the reference annotation.",
        "Mean Dice is the mean over classes of the mean over cases. "
        "Pooled values add up the voxels of all cases first, so that large structures weigh more.",
        "Both reference and prediction empty: Dice, sensitivity, precision, HD95 and surface Dice are not defined. "
        "Such cases are counted apart and enter no mean.",
        "Only the reference empty (false positives alone): Dice, precision and surface Dice are 0; "
        "sensitivity, HD95 and the relative volume error are not defined.",
        "Only the prediction empty (missed whole): Dice, sensitivity and surface Dice are 0; "
        "precision and HD95 are not defined. A mean HD95 therefore leaves out the cases that failed worst: "
        "read it with its number of cases.",
        "Specificity counts every voxel of the image, nearly all of them background, and so is close to 1.",
        "Volume error is predicted minus reference volume; relative, divided by the reference volume.",
        "HD95: the larger of the two 95th percentiles of the distances between boundary voxels, in mm.",
        f"Surface Dice: the share of both surfaces, by area, that lies within {tolerance_mm:g} mm of the other.",
        "A lesion is a connected component of a class (26 neighbours). It is found if at least one of its voxels "
        "is predicted as that class, else missed; a predicted component that touches no lesion is false. "
        "Lesion precision is the share of predicted components that touch a lesion; "
        "F1 is the harmonic mean of lesion sensitivity and lesion precision; in F2 sensitivity counts twice as much. "
        "All of these, and the false components a case, pool the lesions of the cases that are named beside them.",
        "The size of a lesion is the diameter of the ball of equal volume.",
        "Panoptic quality = recognition quality × segmentation quality: a lesion and a component are the same one if "
        "their IoU is above 0.5; the first is the F1 of these, the second their mean IoU. All lesions are pooled.",
        "Dice of found lesions: the mean over the lesions that were found of the Dice of a lesion and all components "
        "that touch it; of all lesions: the same with 0 for each missed one. "
        "Dice within regions (CC-Dice): of a lesion and all that is predicted nearer to it than to any other; "
        "the mean over the cases that have lesions of the mean over a case's lesions.",
        "Agreement of volume and number: bias is the mean over cases of predicted minus reference; the limits of "
        "agreement are the bias ± 1.96 standard deviations of the differences; ICC is ICC(2,1).",
        "Intervals are 95 % intervals of means over cases, by bootstrap of the cases (BCa, 4,000 draws); "
        "there is none under ten cases. They tell how far the mean of other cases of this kind may lie, "
        "not how far the model would be off if it were trained anew.",
    )


def rules_of_labels(labels: Labels, *, partly: bool = False) -> tuple[str, ...]:
    """Return what is particular to a data set with regions, ignored voxels or partly annotated cases; else empty.

    Args:
        labels: classes and regions of the data set.
        partly: whether nobody looked for some class in some case.
    """
    told = []
    if labels.overlapping:
        named = "; ".join(f"{region.name}: {', '.join(map(str, region.values))}" for region in labels.regions)
        told.append(f"Regions are compared, each made of the label values {named}. They may overlap.")
    if labels.ignore is not None:
        told.append(
            f"Voxels with the value {labels.ignore} in the reference are not annotated. They are removed from "
            "reference and prediction before anything is measured, and a surface ends where they begin. Predicted "
            "components alone are found before that; one is judged, true or false, if it touches a lesion of the "
            "reference or at least half of it is annotated."
        )
    if partly:
        told.append(
            "A class that is not annotated in a case, since nobody looked for it there, and a region that holds one, "
            "counts nowhere in that case: it is neither there nor absent, and what is predicted of it is neither right "
            "nor wrong."
        )
    return tuple(told)
