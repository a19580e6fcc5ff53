"""Reads a raw data set in any of the three layouts: nnU-Net's, the Decathlon's, or a `cases.csv`."""

from __future__ import annotations

from pathlib import Path

from autoseg.dataset.case import Dataset
from autoseg.dataset.dataset_json import FILE_NAME, read_json
from autoseg.dataset.decathlon import read_decathlon
from autoseg.dataset.nnunet import read_nnunet
from autoseg.dataset.table import read_table_dataset
from autoseg.errors import DatasetError

TABLE_NAME = "cases.csv"


def read_dataset(path: Path) -> Dataset:
    """Read the declaration of a data set and list its training cases; images are not opened.

    Problems are kept in `Case.problems` and `Dataset.problems`; `check_dataset` reports them together with those
    that it finds in the files.

    Args:
        path: folder in nnU-Net's or the Decathlon's layout (`dataset.json`), or with a `cases.csv`,
            which takes precedence; or the path of one of these two files.

    Raises:
        DatasetError: no layout is recognised, or `dataset.json` or `cases.csv` is malformed.
    """
    path = Path(path)
    if path.is_file():
        if path.suffix.lower() == ".csv":
            return read_table_dataset(path)
        if path.name != FILE_NAME:
            raise DatasetError([f"{path}: is not a data set; name its folder, a {FILE_NAME} or a {TABLE_NAME}"])
        path = path.parent
    if not path.is_dir():
        raise DatasetError([f"{path}: does not exist; name the folder of a data set or its {TABLE_NAME}"])
    if (path / TABLE_NAME).is_file():
        return read_table_dataset(path / TABLE_NAME)
    if (path / FILE_NAME).is_file():
        return _by_declaration(path)
    raise DatasetError(
        [
            f"{path}: holds neither a {FILE_NAME} (nnU-Net's or the Decathlon's layout) nor a {TABLE_NAME} (columns "
            "case, one for each sequence, label)"
        ]
    )


def _by_declaration(folder: Path) -> Dataset:
    document = read_json(folder / FILE_NAME)
    if "channel_names" in document or "file_ending" in document:
        return read_nnunet(folder, document)
    if "training" in document or "modality" in document:
        return read_decathlon(folder, document)
    raise DatasetError(
        [
            f"{folder / FILE_NAME}: has neither the field channel_names (nnU-Net's layout) "
            "nor modality and training (the Decathlon's)"
        ]
    )
