"""`autoseg copy`: copies a RUN folder, whole or without data of patients."""

from __future__ import annotations

from pathlib import Path

from autoseg.run_folder.copies import copy_run
from autoseg.run_folder.paths import RunFolder


def copy(run: Path | str, output: Path | str, *, models_only: bool = False) -> None:
    """Copy a RUN folder, whole or only what prediction needs.

    Args:
        run: RUN folder to copy.
        output: folder for the copy; it must not exist, or must be empty.
        models_only: whether to leave out all data of patients: images, labels, predictions, and the names of
            cases and files.

    Raises:
        RunFolderError: `run` is no RUN folder, `models_only` is set and no fold is trained, or `output` is not
            empty or inside `run`.
    """
    copy_run(RunFolder(Path(run)), Path(output), models_only=models_only)
