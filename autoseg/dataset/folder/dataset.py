"""Makes a data set of a folder whose cases are told by names alone, and the table that says the same."""

from __future__ import annotations

from pathlib import Path

from autoseg.dataset.case import Case, Dataset
from autoseg.dataset.csv_rows import CASE, LABEL, PATIENT, path_for_table
from autoseg.dataset.dataset_json import FILE_NAME, Declaration, is_ct, labels_of, parse, read_json
from autoseg.dataset.folder.account import Account, FoundCase
from autoseg.dataset.folder.understand import understand_annotated
from autoseg.dataset.found_labels import labels_found
from autoseg.dataset.listing import Found, checked_cases, missing
from autoseg.dataset.names import split_ending
from autoseg.image.walk import told_by_reason


def read_folder(folder: Path) -> Dataset:
    """Read a data set without a table; label files are opened only if no `dataset.json` declares the labels.

    Args:
        folder: folder of images and label maps, at any depth. A `dataset.json` in it may give name and labels.

    Raises:
        DatasetError: the names cannot be understood, or the `dataset.json` is malformed.
    """
    account = understand_annotated(folder)
    declared = folder / FILE_NAME
    declaration = parse(Declaration, read_json(declared), declared) if declared.exists() else Declaration()
    cases = checked_cases([Found(_case(case, account.sequences), str(case.label)) for case in account.cases])
    labels, warnings = (
        labels_found([case.label for case in cases if case.label is not None], folder)
        if declaration.labels is None
        else (labels_of(declaration.labels, declared, declaration.regions_class_order), ())
    )
    first = next(image for case in account.cases for image in case.images.values())
    return Dataset(
        name=declaration.name or folder.absolute().name,
        layout=account.kind,
        channels=account.sequences,
        ct=tuple(map(is_ct, account.sequences)),
        labels=labels,
        cases=cases,
        file_ending=split_ending(first)[1] or ".nii.gz",
        folder=folder,
        warnings=(*account.notes, *warnings),
        left_out=tuple(told_by_reason(folder, account.left_out)),
        description=declaration.description,
        synthetic=declaration.synthetic,
    )


def _case(case: FoundCase, sequences: tuple[str, ...]) -> Case:
    images = tuple(case.images.get(name) for name in sequences)
    problems = [text for path in (*images, case.label) if path is not None for text in missing(path, case.name)]
    return Case(case.name, images, case.label, patient=case.patient, problems=tuple(problems))


def table_of(account: Account, beside: Path) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the header and the rows of the `cases.csv` that says the same as an account.

    Args:
        account: the account of a folder.
        beside: folder of the table, to which its paths are relative.
    """
    labels = (LABEL,) if any(case.label is not None for case in account.cases) else ()
    patients = (PATIENT,) if any(case.patient is not None for case in account.cases) else ()
    header = (CASE, *account.sequences, *labels, *patients)
    rows = []
    for case in account.cases:
        paths = [*map(case.images.get, account.sequences), *(case.label for _ in labels)]
        cells = ["" if path is None else path_for_table(path, beside) for path in paths]
        rows.append((case.name, *cells, *(case.patient or "" for _ in patients)))
    return header, rows
