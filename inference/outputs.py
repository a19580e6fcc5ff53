"""What is written of each predicted image: the prediction in its format, tables, and what else is asked for.

In: an image that was predicted. Out: its files. The probabilities are freed before the label map is written, and the
rows of a case come last, so that a case with rows is complete.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from autoseg.dataset.case import Case
from autoseg.errors import AutosegError
from autoseg.image.flat.kind import LABEL_ENDING
from autoseg.image.geometry import Geometry
from autoseg.image.image import Image, write_image
from autoseg.image.labels import Labels
from autoseg.image.segment_colours import Colour
from autoseg.results import WrittenFile
from autoseg.run_folder.lesion_scores import LesionScores
from autoseg.run_folder.preprocessed_case import CaseRecord
from autoseg.terminal import styled
from autoseg.whole_image.case_probabilities import CaseProbabilities
from autoseg.whole_image.export import export_probabilities, label_image
from autoseg.whole_image.mixture import Mixture
from inference.case_table import CaseTable
from inference.measurements.agreement import MemberMap
from inference.measurements.kept_members import NO_MEMORY
from inference.measurements.lesions import lesion_rows
from inference.measurements.measure import measured_case, notes_of
from inference.output_files import PREVIEW, image_of
from inference.post_processing import post_processed
from inference.predict_image import LoadedModels, PredictedImage
from inference.predicted_part import notes
from inference.writers import Writer

MEMBERS, PROBABILITIES = "members", "probabilities"

Wrote = Callable[[WrittenFile], None]


@dataclass(frozen=True)
class Outputs:
    """What is written of every image.

    Args:
        writer: writes the predictions in their format.
        measurements: the table `measurements.csv`.
        lesions: the table `predicted_lesions.csv`; None where the plan has no lesions and there is no such file.
        scores: how predicted lesions are scored, by class name.
        wrote: called with each file of an image once it is written.
        save_probabilities: whether the probability of each class is written too.
        save_members: whether the label maps of the single models are written too.
        preview: whether a picture is drawn.
        agreement: whether it may be measured how far the members agree.
        colours: colour of each class index from 1 in pictures.
    """

    writer: Writer
    measurements: CaseTable
    lesions: CaseTable | None
    scores: Mapping[str, LesionScores]
    wrote: Wrote
    save_probabilities: bool = False
    save_members: bool = False
    preview: bool = False
    agreement: bool = True
    colours: tuple[Colour, ...] = ()


def further_files(
    case: str, target: Path, ending: str, *, preview: bool, probabilities: Labels | None = None
) -> tuple[Path, ...]:
    """Files that are written beside the prediction of a case, but for label maps of single models.

    Args:
        case: name of the case.
        target: file of its prediction.
        ending: ending of label maps beside predictions; empty = that of the prediction.
        preview: whether a preview is drawn.
        probabilities: classes or regions whose probabilities are written; None = they are not.
    """
    files = [preview_file(target.parent, case)] if preview else []
    if probabilities is not None:
        several = range(1, len(probabilities.regions) + 1) if probabilities.overlapping else probabilities.values
        files += [probability_file(case, target, ending, probabilities, value) for value in several]
    return tuple(files)


def probability_file(case: str, target: Path, ending: str, labels: Labels, value: int) -> Path:
    """File of the probability of a class or region.

    Args:
        case: name of the case.
        target: file of its prediction.
        ending: ending of label maps beside predictions; empty = that of the prediction.
        labels: classes and regions of the data set.
        value: value of the class, or number of the region from 1.
    """
    # PNG holds no fractions
    ending = ending or target.name.removeprefix(case).replace(LABEL_ENDING, ".nii.gz")
    return target.parent / PROBABILITIES / case / f"{_kind(labels)}_{value}{ending}"


def member_file(case: str, target: Path, ending: str, member: str) -> Path:
    """File of the label map of a single model.

    Args:
        case: name of the case.
        target: file of the prediction of all models together.
        ending: ending of label maps beside predictions; empty = that of the prediction.
        member: name of the model.
    """
    return target.parent / MEMBERS / member / (f"{case}{ending}" if ending else target.name)


def preview_file(output: Path, case: str) -> Path:
    """File of a case's preview in the folder of the predictions."""
    return output / PREVIEW / f"{case}.png"


def write_outputs(
    outputs: Outputs,
    models: LoadedModels,
    image: PredictedImage,
    case: Case,
    target: Path,
    tell: Callable[[Text], None],
) -> None:
    """Bring a prediction to the grid of its image, and write it and what else was asked for.

    Args:
        outputs: writers and tables, and which files are asked for.
        models: the models that predicted.
        image: prediction, which is empty afterwards.
        case: name and files of the case.
        target: file of the prediction.
        tell: prints a warning about the case.
    """
    plan, members, name = models.plan, image.members, case.name
    image.members = []
    # a case whose rows are there counts as done, so they go before its first file is replaced
    if outputs.lesions is not None:
        outputs.lesions.begin(name)
    outputs.measurements.begin(name)
    if outputs.save_probabilities:
        _write_probabilities(outputs, members, plan.labels, name, target)
    record = members[0].record
    classes = post_processed(members, models.rules, plan.labels)
    for note in notes(image.part, classes):
        tell(styled("yellow", name, f": {note}"))
    if image.lacking and outputs.agreement:
        tell(styled("yellow", name, f": {NO_MEMORY}"))
    mixture, compared = Mixture(members), image.maps if outputs.agreement else []
    told = notes_of(image.part, classes, image.odd)
    measured = measured_case(name, classes, mixture, compared, plan, told, image_of(case))
    lesions = (
        list(
            lesion_rows(
                *(name, classes, mixture, compared, plan, outputs.scores),
                tell=lambda sentence: tell(styled("yellow", name, f": {sentence}")),
            )
        )
        if plan.lesions
        else []
    )
    # the probabilities, which may be large, are freed where the format does not hold them
    needed = members if outputs.writer.wants_probabilities else []
    del members, mixture
    for written in outputs.writer.write(name, target, classes, record, needed):
        outputs.wrote(written)
    del needed
    if outputs.save_members:
        _remove_members(outputs, models, image.maps, name, target)
        _write_members(outputs, image.maps, record, plan.labels, name, target)
        if image.lacking:
            listed = ", ".join(f"{MEMBERS}/{member}" for member in image.lacking)
            tell(styled("yellow", name, f": {listed} not written: the memory does not hold them"))
    if outputs.preview:
        _write_preview(outputs, case, target, classes, record, plan.labels, measured.place)
    if outputs.lesions is not None:
        outputs.lesions.add(name, lesions)
    # a case whose measurements are there counts as done, so they come last
    outputs.measurements.add(name, measured.rows, after=outputs.lesions)


def _write_probabilities(
    outputs: Outputs, members: Sequence[CaseProbabilities], labels: Labels, case: str, target: Path
) -> None:
    for value, probability in export_probabilities(members, labels):
        file = probability_file(case, target, outputs.writer.beside_ending, labels, value)
        write_image(file, probability)
        outputs.wrote(WrittenFile(case, f"probability of {_kind(labels)} {value}", file))


def _kind(labels: Labels) -> str:
    return "region" if labels.overlapping else "label"


def _remove_members(outputs: Outputs, models: LoadedModels, maps: Sequence[MemberMap], case: str, target: Path) -> None:
    """Remove label maps of a former prediction that are not written anew: they would speak of another one."""
    made = {member.name for member in maps}
    for member in (member for group in models.groups for member in group.members if member not in made):
        member_file(case, target, outputs.writer.beside_ending, member).unlink(missing_ok=True)


def _write_members(
    outputs: Outputs, maps: Sequence[MemberMap], record: CaseRecord, labels: Labels, case: str, target: Path
) -> None:
    for member in maps:
        file = member_file(case, target, outputs.writer.beside_ending, member.name)
        write_image(file, label_image(member.whole(), record, labels))
        outputs.wrote(WrittenFile(case, f"label map of {member.name}", file))


def _write_preview(
    outputs: Outputs,
    case: Case,
    target: Path,
    classes: NDArray[np.uint8],
    record: CaseRecord,
    labels: Labels,
    place: tuple[int, int, int] | None,
) -> None:
    # imported where it is used, since it takes long to import
    from inference.report.preview import write_preview

    file = preview_file(target.parent, case.name)
    write_preview(
        file,
        case.name,
        shown_image(case, record.stored),
        classes,
        record.reoriented,
        labels,
        place,
        stored=record.stored,
        colours=outputs.colours,
    )
    outputs.wrote(WrittenFile(case.name, "preview", file))


def shown_image(case: Case, geometry: Geometry) -> Image | None:
    """The first sequence of a case on the grid of its label map; None where it cannot be read again."""
    from inference.report.background_image import on_grid

    path = case.first_image
    try:
        return None if path is None else on_grid(path, geometry)
    except (AutosegError, OSError):
        return None
