"""Reading and writing of `dataset.json`, the record of what was read from the raw data set."""

from __future__ import annotations

from autoseg.dataset.record import DatasetRecord
from autoseg.files import read_existing, write_text
from autoseg.run_folder.paths import RunFolder


def write_record(run: RunFolder, record: DatasetRecord) -> None:
    """Write `dataset.json`, atomically."""
    write_text(run.dataset, record.sealed_json())


def read_record(run: RunFolder) -> DatasetRecord:
    """Read `dataset.json`.

    Raises:
        RunFolderError: the file is missing or malformed; the message names the file and the field.
    """
    run.require(run.dataset, "autoseg plan-and-preprocess")
    advice = f"delete it, and `autoseg plan-and-preprocess DATASET -o {run.path}` makes it again"
    return read_existing(run.dataset, DatasetRecord, advice)
