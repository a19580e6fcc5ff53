"""Matches folders of reference and predicted label files, and finds names and strata that belong to them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from autoseg.dataset.annotated_column import WrongNames
from autoseg.dataset.csv_rows import ANNOTATED, LABEL, RESERVED, CsvTable, read_table
from autoseg.dataset.dataset_json import FILE_NAME, MOST_LABELS, Declaration, labels_of, parse, read_json
from autoseg.dataset.folder.beside import masks_beside_images
from autoseg.dataset.found_labels import ClassesDiffer, classes_in, classes_of, problems_of
from autoseg.dataset.names import entries, split_channel, split_ending
from autoseg.dataset.read import TABLE_NAME
from autoseg.dataset.table import annotated_in_row
from autoseg.errors import DatasetError, ImageError, InputError
from autoseg.image.annotated_classes import EVERY, AnnotatedClasses
from autoseg.image.file_kind import why_unreadable
from autoseg.image.label_file import names_classes
from autoseg.image.labels import Labels
from autoseg.image.walk import LeftOut, told_by_reason
from autoseg.machine.map_cases import map_cases
from autoseg.names import listed, nfc
from autoseg.run_folder.predictions_folder import PredictionsFolder
from inference.compare import Pair, workers_for

Value = TypeVar("Value")

_SAY_CLASSES = "give a RUN folder (--run) or a dataset.json beside the references that names the classes to compare"

_REPORT = "_report.dcm"
_BESIDE_LABELS = (".json", ".csv", ".txt", ".html", ".yaml", ".log")


@dataclass(frozen=True)
class Matched:
    """Two folders of label files, matched by case name.

    Args:
        pairs: reference and prediction of the cases that have both.
        missing: names of the cases without a prediction.
        extra: names of the cases without a reference.
        passed_over: a sentence for each reason for which entries of the folders are not compared.
    """

    pairs: tuple[Pair, ...]
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    passed_over: tuple[str, ...]


@dataclass(frozen=True)
class LabelFolder:
    """What a folder of label maps holds.

    Args:
        files: its image files, by name without ending.
        passed_over: a sentence for each reason for which entries are not compared. Tables and records, such as those
            that autoseg writes beside label maps, are not told.
    """

    files: dict[str, Path]
    passed_over: tuple[str, ...]


def match_folders(reference: Path, prediction: Path) -> Matched:
    """Match the files of two folders by name without its ending; their formats may differ.

    Where references lie beside their images, as `a_seg.nii.gz` beside `a.nii.gz`, they have the names of these.

    Raises:
        InputError: a folder is missing, holds no label file or two files of one case, or no names match.
    """
    of_reference, of_prediction = list_labels(reference), list_labels(prediction)
    of_reference = _without_images(reference, of_reference, of_prediction.files)
    references, predictions = of_reference.files, of_prediction.files
    if not references:
        raise InputError(
            f"{reference}: holds no label file; give a folder of reference label maps, each under the name of its "
            "prediction" + "".join(f"; {sentence}" for sentence in of_reference.passed_over)
        )
    both = [case for case in references if case in predictions]
    if not both:
        raise InputError(
            f"{prediction}: no file has the name of a reference in {reference} (such as {next(iter(references))}); "
            "reference and prediction of a case must bear one name"
        )
    return Matched(
        pairs=tuple(Pair(case, references[case], predictions[case]) for case in both),
        missing=tuple(case for case in references if case not in predictions),
        extra=tuple(case for case in predictions if case not in references),
        passed_over=(*of_reference.passed_over, *of_prediction.passed_over),
    )


def list_labels(folder: Path) -> LabelFolder:
    """List the image files of a folder, and what else lies there.

    Raises:
        InputError: the folder is missing, or two files have the same name without ending.
        ImageError: there is no permission to read the folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: is not a folder")
    files: dict[str, Path] = {}
    left_out: list[LeftOut] = []
    there, own = entries(folder), _own_folders(folder)
    names = {file.name for file in there}
    for file in there:
        if file.name.endswith(_REPORT) and f"{file.name.removesuffix(_REPORT)}.dcm" in names:
            # autoseg writes it beside its DICOM SEG
            continue
        ending = split_ending(file)[1]
        if file in own:
            continue
        if why := _why_passed_over(file, ending):
            left_out.append(LeftOut(file, why))
        elif ending:
            name = _case_of(file)
            if name in files:
                raise InputError(f"{folder}: {files[name].name} and {file.name} are both named {name}; remove one")
            files[name] = file
    told = told_by_reason(folder, left_out)
    return LabelFolder(files, tuple(f"{folder}: not compared: {sentence}" for sentence in told))


def _without_images(folder: Path, listed_there: LabelFolder, predicted: Collection[str]) -> LabelFolder:
    """Label maps under the names of the images that lie beside them, unless a prediction has the label map's own."""
    beside = masks_beside_images(listed_there.files.values())
    masks = {mask: image for mask, image in beside.items() if _case_of(mask) not in predicted}
    mask_of: dict[Path, Path] = {}
    for mask, image in masks.items():
        if (other := mask_of.setdefault(image, mask)) != mask:
            raise InputError(f"{folder}: {other.name} and {mask.name} are both label maps of {image.name}; remove one")
    files = {name: mask_of.get(file, file) for name, file in listed_there.files.items() if file not in masks}
    images = told_by_reason(folder, [LeftOut(image, "the image beside its label map") for image in mask_of])
    told = (f"{folder}: not compared: {sentence}" for sentence in images)
    return LabelFolder(files, (*listed_there.passed_over, *told))


def _own_folders(folder: Path) -> tuple[Path, ...]:
    """Folders that autoseg itself makes in a folder of predictions of many machines."""
    predictions = PredictionsFolder(folder)
    return (predictions.work, predictions.evaluation) if predictions.request.exists() else ()


def _case_of(file: Path) -> str:
    """Name of the case of a label file."""
    # an accent may be a sign of its own in one place and part of its letter in another
    return nfc(split_ending(file)[0])


def _why_passed_over(entry: Path, ending: str) -> str | None:
    """Why an entry is not compared; None where it is a label map, or a table or record that may lie beside them."""
    if (why := why_unreadable(entry)) is not None:
        return why
    if entry.is_dir():
        return "a folder, which is not looked into"
    if not ending and entry.suffix.lower() not in _BESIDE_LABELS:
        return "no label map by its ending; unpack it, or give it its ending"
    return None


def images_of(folder: Path, cases: Sequence[str]) -> dict[str, Path]:
    """Image files of cases, such as `CASE.nii.gz` or nnU-Net's first channel `CASE_0000.nii.gz`; absent ones have none.

    Args:
        folder: folder of the images, which is listed once.
        cases: names of the cases.

    Raises:
        InputError: the folder is missing, or two files have the same name without ending.
    """
    files = list_labels(folder).files
    first_channels: dict[str, Path] = {}
    for name in sorted(files):
        if split := split_channel(name):
            first_channels.setdefault(split[0], files[name])
    found = {case: files.get(case) or first_channels.get(case) for case in cases}
    return {case: file for case, file in found.items() if file is not None}


def declaration_beside(folder: Path) -> tuple[Declaration, Path] | None:
    """Read the `dataset.json` in a folder of labels or beside it.

    Returns:
        The declaration and its path; None where there is no such file.

    Raises:
        DatasetError: the file is malformed.
    """
    for path in (folder / FILE_NAME, folder.absolute().parent / FILE_NAME):
        if path.is_file():
            return parse(Declaration, read_json(path), path), path
    return None


def labels_declared(declaration: Declaration, path: Path) -> Labels | None:
    """Label values and names of a `dataset.json`; None where it declares none. Messages name the file `path`."""
    if declaration.labels is None:
        return None
    return labels_of(declaration.labels, path, declaration.regions_class_order)


def labels_found(pairs: Sequence[Pair]) -> Labels:
    """Labels made of what the references hold: their names, or whole numbers, where 0 is the background, 3 `label 3`.

    Raises:
        InputError: no reference has a voxel other than 0, the references hold too many different classes or do not
            agree on them, or they name their classes and the predictions do not.
    """
    folder = pairs[0].reference.parent
    references = [pair.reference for pair in pairs]
    described = map_cases(classes_in, references, workers_for(pairs), "Looking for labels", name=str)
    try:
        found = classes_of(described)
    except ClassesDiffer as error:
        raise InputError(f"{folder}: {error}; {_SAY_CLASSES}") from None
    if len(found.values) >= MOST_LABELS:
        raise InputError(
            f"{folder}: the references hold {len(found.values)} labels beside 0, {MOST_LABELS} with it at most are "
            f"supported; {_SAY_CLASSES}"
        )
    if not found.values and (unread := problems_of(described)):
        raise InputError("; ".join(unread))
    if not found.values:
        raise InputError(f"{folder}: the references are empty, there is nothing to evaluate against")
    if any(one.segments is not None for one in described):
        _require_named([pair.prediction for pair in pairs], pairs[0].reference)
    return labels_of({"background": 0} | found.values, folder)


def _require_named(predictions: Sequence[Path], reference: Path) -> None:
    """Refuse predictions of numbers beside references of names: nobody says which number has which name."""
    for prediction in predictions:
        # a file that cannot be read is reported when the case is compared
        with suppress(ImageError):
            if not names_classes(prediction):
                raise InputError(
                    f"{reference} names its classes, and {prediction} holds numbers alone: which number has which name "
                    f"is not said; {_SAY_CLASSES}"
                )


def by_case(of_files: Mapping[str, Value], pairs: Sequence[Pair]) -> dict[str, Value]:
    """What is known by the names of reference files, by the names of their cases, which may be those of images."""
    names = {_case_of(pair.reference): pair.case for pair in pairs}
    return {names.get(name, name): value for name, value in of_files.items()}


def strata_beside(folder: Path) -> dict[str, dict[str, str]]:
    """Stratification values of each case: by name of the label file without ending, then by column.

    They are read from the `cases.csv` in a folder of labels or beside it; empty where there is no such table.

    Raises:
        DatasetError: the table is malformed.
    """
    if (table := _table_beside(folder)) is None:
        return {}
    others = {*RESERVED, *table.sequence_columns()}
    columns = [c for c in table.columns if c not in others]
    named = [(table.file(row, LABEL), row) for row in table.rows]
    return {
        _case_of(file): {column: row.cells[column] for column in columns} for file, row in named if file is not None
    }


def annotated_beside(folder: Path, labels: Labels) -> dict[str, AnnotatedClasses]:
    """Classes that were looked for in each case, by name of the label file without ending; empty without a table.

    They are read from the column `annotated` of the `cases.csv` in a folder of labels or beside it.

    Args:
        folder: folder of the reference label maps.
        labels: label values and names of the classes.

    Raises:
        DatasetError: the table is malformed, or names classes that are not compared.
    """
    table = _table_beside(folder)
    if table is None or ANNOTATED not in table.columns:
        return {}
    found: dict[str, AnnotatedClasses] = {}
    problems = []
    for row in table.rows:
        if (file := table.file(row, LABEL)) is None:
            continue
        try:
            found[_case_of(file)] = annotated_in_row(table, row, labels)
        except WrongNames as error:
            problems.append(f"{table.where(row, ANNOTATED)}: {error}")
    if problems:
        raise DatasetError(problems)
    return found


def unmatched_rows(annotated: Mapping[str, AnnotatedClasses], references: Collection[str]) -> tuple[str, ...]:
    """A warning of label files that a table names as annotated in part, and that are no reference; or none.

    Args:
        annotated: classes that were looked for, by name of the label file.
        references: names of all references.
    """
    lost = [name for name, classes in annotated.items() if classes != EVERY and name not in references]
    if not lost:
        return ()
    return (
        f"{TABLE_NAME}: {len(lost)} of {len(annotated)} rows of the column `{ANNOTATED}` belong to no reference, "
        f"by the name of the label file: {listed(lost)}; in a reference without a row every class counts as "
        "looked for",
    )


def _table_beside(folder: Path) -> CsvTable | None:
    paths = (folder / TABLE_NAME, folder.absolute().parent / TABLE_NAME)
    return next((read_table(path) for path in paths if path.is_file()), None)
