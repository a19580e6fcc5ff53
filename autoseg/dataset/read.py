"""Reads a raw data set: nnU-Net's or the Decathlon's layout, a `cases.csv`, or a folder understood by its names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from autoseg.dataset.case import Dataset
from autoseg.dataset.data_frame import frame_as_table
from autoseg.dataset.dataset_json import FILE_NAME, read_json
from autoseg.dataset.decathlon import read_decathlon
from autoseg.dataset.folder.dataset import read_folder
from autoseg.dataset.folder.images import SPREADSHEETS
from autoseg.dataset.nnunet import read_nnunet
from autoseg.dataset.pictures import with_colours
from autoseg.dataset.table import dataset_of_table, read_table_dataset
from autoseg.errors import DatasetError

if TYPE_CHECKING:
    from pandas import DataFrame

TABLE_NAME = "cases.csv"

# fields that only nnU-Net's layout, the Decathlon's or a RUN folder has
_OF_OTHERS = {"numTraining", "numTest", "tensorImageSize", "schema_version"}


def read_dataset(path: Path | DataFrame) -> Dataset:
    """Read the declaration of a data set and list its training cases; of pictures the headers are read.

    Problems are kept in `Case.problems` and `Dataset.problems`; `check_dataset` reports them together with those
    that it finds in the files.

    Args:
        path: folder in nnU-Net's or the Decathlon's layout (`dataset.json`), or with a `cases.csv`,
            which takes precedence; or the path of one of these two files; or a folder with neither, whose cases are
            found by their names; or the table itself, whose paths are relative to the current folder.

    Raises:
        DatasetError: the names of the files cannot be understood, or `dataset.json` or `cases.csv` is malformed.
    """
    if not isinstance(path, (str, Path)):
        return with_colours(dataset_of_table(frame_as_table(path)))
    path = Path(path)
    if path.is_file():
        if path.suffix.lower() == ".csv":
            return with_colours(read_table_dataset(path))
        if path.suffix.lower() in SPREADSHEETS:
            raise DatasetError([f"{path}: is a spreadsheet, which is not read; save it as CSV UTF-8 ({TABLE_NAME})"])
        if path.name != FILE_NAME:
            raise DatasetError([f"{path}: is not a data set; name its folder, a {FILE_NAME} or a {TABLE_NAME}"])
        path = path.parent
    if not path.is_dir():
        raise DatasetError([f"{path}: does not exist; name the folder of a data set or its {TABLE_NAME}"])
    if (path / TABLE_NAME).is_file():
        return with_colours(read_table_dataset(path / TABLE_NAME))
    if (path / FILE_NAME).is_file():
        return with_colours(_by_declaration(path))
    return with_colours(read_folder(path))


def _by_declaration(folder: Path) -> Dataset:
    document = read_json(folder / FILE_NAME)
    if "channel_names" in document or "file_ending" in document:
        return read_nnunet(folder, document)
    if "training" in document or "modality" in document:
        return read_decathlon(folder, document)
    if "labels" in document and not _OF_OTHERS & set(document):
        # it gives names to the values of label maps alone
        return read_folder(folder)
    raise DatasetError(
        [
            f"{folder / FILE_NAME}: has neither the field channel_names (nnU-Net's layout) "
            "nor modality and training (the Decathlon's)"
        ]
    )
