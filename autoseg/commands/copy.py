"""`autoseg copy`: a RUN folder, whole or without patients."""

from __future__ import annotations

from pathlib import Path

from autoseg.run_folder.copies import copy_run
from autoseg.run_folder.paths import RunFolder


def copy(run: Path | str, output: Path | str, *, models_only: bool = False) -> None:
    """Copy a RUN folder, whole or only what predicting needs.

    Args:
        run: the RUN folder.
        output: the copy; must not exist, or be empty.
        models_only: leave out everything with patients in it: images, labels, predictions, names of
            cases and files.

    Raises:
        RunFolderError: there is no run, no model in it, or `output` is not empty.
    """
    copy_run(RunFolder(Path(run)), Path(output), models_only=models_only)
