"""`autoseg table`: writes the `cases.csv` of a folder of images and label maps, to look at and correct."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from autoseg.commands.options import FolderToUnderstand, ImagePattern, LabelPattern, TableToMake, command
from autoseg.dataset.folder.account import Account, told
from autoseg.errors import InputError
from autoseg.terminal import open_console


@command
def table(
    folder: FolderToUnderstand,
    output: TableToMake = "cases.csv",
    *,
    images: ImagePattern = None,
    label: LabelPattern = None,
) -> Path:
    """Write the cases.csv of a folder of images and label maps, to look at and correct.

    It says what was understood: cases, sequences, label maps, and what was left out and why. No image is opened.

    Returns:
        The table.

    Raises:
        InputError: the folder or the place of the table is not usable, or a pattern fits no file.
        DatasetError: the names in the folder can be understood in no way, or in several.
    """
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
    account = understand(source, images, label)
    write_text(path, csv_text(*table_of(account, path.parent)))
    console = open_console()
    show_account(console, account)
    annotated = account.cases[0].label is not None
    then = f"autoseg run {path} -o RUN" if annotated else f"autoseg predict RUN -i {path} -o predictions"
    console.print(f"{len(account.cases)} cases: {path}. Look at it, then: {then}", soft_wrap=True)
    return path


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
    for sentence in told(account.folder, account.left_out):
        shown.add_row("left out", sentence)
    console.print(shown)
