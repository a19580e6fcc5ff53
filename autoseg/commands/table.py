"""`autoseg table`: writes the `cases.csv` of a folder of images and label maps, to look at and correct."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from autoseg.commands.command import command
from autoseg.commands.options import (
    ByPatient,
    FolderToUnderstand,
    ImagePattern,
    LabelPattern,
    SequencePatterns,
    TableToMake,
)
from autoseg.dataset.csv_rows import LABEL
from autoseg.dataset.folder.account import Account
from autoseg.dataset.read import TABLE_NAME
from autoseg.errors import InputError
from autoseg.image.walk import told_by_reason
from autoseg.terminal import open_console

if TYPE_CHECKING:
    from autoseg.dataset.dicom_matching import Matching


@command
def table(
    folder: FolderToUnderstand,
    output: TableToMake = "cases.csv",
    *,
    images: ImagePattern = None,
    label: LabelPattern = None,
    sequence: SequencePatterns = None,
    by_patient: ByPatient = False,
) -> Path:
    """Write the cases.csv of a folder of images and label maps, to look at and correct.

    It says what was understood: cases, sequences, label maps, and what was left out and why. No image is opened. In a
    folder of DICOM, at any depth, --sequence matches the descriptions of series, by patient and study; the column of
    the label maps is left to fill in.

    Returns:
        The table.

    Raises:
        InputError: the folder or the place of the table is not usable, or a pattern fits no file.
        DatasetError: the names in the folder can be understood in no way, or in several.
    """
    from autoseg.dataset.dicom_matching import match_folder, rows_of
    from autoseg.dataset.folder.dataset import table_of
    from autoseg.dataset.folder.understand import understand
    from autoseg.disk.csv_files import csv_text
    from autoseg.files import write_text

    source, path = Path(folder), Path(output)
    if not source.is_dir():
        raise InputError(f"{source}: is no folder; give the folder of the images")
    if path.exists():
        raise InputError(f"{path}: exists already, and may hold corrections; give another name by -o, or delete it")
    if label is not None and images is None:
        raise InputError("--label without --images: give both patterns, or none")
    console = open_console()
    if sequence is not None:
        if images is not None:
            raise InputError("--images names files, --sequence the series of DICOM: give one of them")
        matching = match_folder(source, sequence, by_patient=by_patient)
        write_text(path, csv_text(*rows_of(matching, path.parent)))
        show_matching(console, matching)
        console.print(f"{len(matching.cases)} cases: {path}. Fill in the column `{LABEL}` to train.", soft_wrap=True)
        return path
    account = understand(source, images, label)
    write_text(path, csv_text(*table_of(account, path.parent)))
    show_account(console, account)
    annotated = account.cases[0].label is not None
    then = f"autoseg run {path} -o RUN" if annotated else f"autoseg predict RUN -i {path} -o predictions"
    console.print(f"{len(account.cases)} cases: {path}. Look at it, then: {then}", soft_wrap=True)
    if (source / TABLE_NAME).is_file():
        console.print(f"{source / TABLE_NAME} is there too, and is what the folder itself stands for.", soft_wrap=True)
    return path


def show_matching(console: Console, matching: Matching) -> None:
    """Print which series of a folder of DICOM were found for each sequence, and what fits none."""
    shown = Table(title=f"{matching.folder}", show_header=False, title_justify="left")
    shown.add_column(style="bold")
    shown.add_column()
    patients = {case.patient for case in matching.cases}
    shown.add_row("cases", f"{len(matching.cases)} of {len(patients)} patients")
    for name in matching.sequences:
        having = [case for case in matching.cases if name in case.images]
        described = Counter(case.images[name].about.description or "no description" for case in having)
        shown.add_row(name, f"{len(having)} of {len(matching.cases)}: " + ", ".join(described))
    for sentence in matching.told:
        shown.add_row("", sentence)
    console.print(shown)


def show_account(console: Console, account: Account) -> None:
    """Print what a folder was understood to be, what is used, and what is not."""
    patients = {case.patient for case in account.cases if case.patient is not None}
    shown = Table(title=f"{account.folder}", show_header=False, title_justify="left")
    shown.add_column(style="bold")
    shown.add_column()
    shown.add_row("layout", account.kind)
    shown.add_row("cases", f"{len(account.cases)}" + (f" of {len(patients)} patients" if patients else ""))
    for name in account.sequences:
        having = [case for case in account.cases if name in case.images]
        example = having[0].images[name]
        shown.add_row(name, f"{len(having)} of {len(account.cases)}, such as {example.relative_to(account.folder)}")
    label = account.cases[0].label
    shown.add_row("label maps", "none" if label is None else f"such as {label.relative_to(account.folder)}")
    for note in account.notes:
        shown.add_row("note", note)
    for sentence in told_by_reason(account.folder, account.left_out):
        shown.add_row("left out", sentence)
    console.print(shown)
