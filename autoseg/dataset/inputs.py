"""Lists the images to predict (a folder, files, DICOM folders or a `cases.csv`) and groups them into cases.

Only names, and the headers of DICOM files, are read. A case with a problem carries it along: reading that case raises
it, and the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from autoseg.dataset.case import Case
from autoseg.dataset.csv_rows import PATIENT, CsvTable, Row, read_table
from autoseg.dataset.drawn_on import named
from autoseg.dataset.folder.words import split_name
from autoseg.dataset.input_folder import InputFolder, InputImage, image_name, images_of_folder
from autoseg.dataset.listing import Found, checked_cases, missing
from autoseg.dataset.names import split_channel, split_ending
from autoseg.dataset.read import TABLE_NAME
from autoseg.dataset.series_names import SeriesName, cleaned, name_of_choice, unique
from autoseg.dataset.table import match_channels
from autoseg.errors import ImageError, InputError
from autoseg.image.dicom.choice import ONLY_ONE, place_and_choice
from autoseg.image.file_kind import why_unreadable
from autoseg.image.flat.kind import are_colours, is_picture
from autoseg.image.image import is_dicom
from autoseg.names import listed

_SHOWN = 4


@dataclass(frozen=True)
class _Channels:
    """Channels of the model.

    Args:
        names: names of all channels.
        used: for each channel whether its file is read.
        needed: for each channel whether its file must exist where file names number the channels.
    """

    names: tuple[str, ...]
    used: tuple[bool, ...]
    needed: tuple[bool, ...]


def read_inputs(
    paths: Sequence[Path],
    channels: tuple[str, ...],
    *,
    sequences: Sequence[str] | None = None,
    needed: Sequence[str] | None = None,
    by_patient: bool = False,
    tell: Callable[[str], None] | None = None,
) -> tuple[Case, ...]:
    """List the cases in one or several paths.

    Each DICOM series in a folder, at any depth, is an image, named by folder and series; localisers are none.

    Files with names in nnU-Net's convention, `CASE_0000.nii.gz`, are grouped into cases if all files have such
    names, or if the model has several channels. Any other file is a case of its own (with several
    channels, a 4D file). The columns of a `cases.csv` are matched to the channels by name; a missing column
    or an empty cell means that the sequence was not acquired.

    Args:
        paths: folders, image files, folders of DICOM files and tables, in any mixture. What is chosen in DICOM may
            follow a path, such as `scan?echo=4.92`.
        channels: names of the model's channels.
        sequences: names of the channels that are used; the others are treated as not acquired, and their
            files need not exist. A file that is a case of its own holds all channels, or only these.
            None = all.
        needed: names of those of `sequences` whose files must exist where file names number the channels;
            None = all of them.
        by_patient: begin the names of DICOM series with the patient's id.
        tell: is given a sentence for what was understood of a folder, and for what in it is left out; None = nobody.

    Raises:
        InputError: a path holds nothing to predict, or there is no case.
        ImageError: a folder holds too many files, or what is chosen is malformed.
        DatasetError: a table is malformed.
    """
    used = tuple(sequences is None or name in sequences for name in channels)
    must = tuple(there and (needed is None or name in needed) for name, there in zip(channels, used, strict=True))
    model = _Channels(channels, used, must)
    found: list[Found] = []
    images: dict[Path, InputImage] = {}
    for path in dict.fromkeys(Path(path) for path in paths):
        table = path / TABLE_NAME if path.is_dir() else path
        if table.suffix.lower() == ".csv" and table.is_file():
            found += _from_table(read_table(table), model)
        else:
            inside = _images(path, by_patient=by_patient)
            for image in inside.images:
                images.setdefault(image.path, image)
            if tell is not None:
                for sentence in inside.told:
                    tell(sentence)
    named_images = _named(list(images.values()))
    if tell is not None:
        for sentence in _of_other_sequences(named_images, model):
            tell(sentence)
    found += _from_names(named_images, model)
    if not found:
        raise InputError(f"{', '.join(map(str, paths))}: holds no image to predict")
    return checked_cases(found, training=False)


def _images(path: Path, *, by_patient: bool) -> InputFolder:
    """Image files, and DICOM series at any depth, in a path."""
    place, choice = place_and_choice(path)
    if (why := why_unreadable(place)) is not None:
        # one missing file in a list is a problem of its case only
        if split_ending(place)[1]:
            return InputFolder((InputImage(path, image_name(place)),), ())
        raise InputError(f"{path}: {why}")
    if place.is_dir():
        return images_of_folder(place, choice, by_patient=by_patient)
    name = image_name(place) + cleaned(name_of_choice(choice))
    return InputFolder((InputImage(path, name, choice == ONLY_ONE),), ())


def _named(images: Sequence[InputImage]) -> list[InputImage]:
    """Give the DICOM series names that no other image has."""
    series = [image.name for image in images if isinstance(image.name, SeriesName)]
    taken = [image.name for image in images if isinstance(image.name, str)]
    names = iter(unique(series, taken))
    named = [replace(image, name=next(names)) if isinstance(image.name, SeriesName) else image for image in images]
    # what a folder around had to be added to is no plain name any more
    return [
        replace(image, may_be_channel=image.may_be_channel and _plain(before.name) == image.name)
        for before, image in zip(images, named, strict=True)
    ]


def _plain(name: str | SeriesName) -> str:
    return name if isinstance(name, str) else name.text(0)


def _of_other_sequences(images: Sequence[InputImage], channels: _Channels) -> list[str]:
    """A sentence on images whose names tell another sequence than the only one that the models use; or none."""
    used = [name for name, there in zip(channels.names, channels.used, strict=True) if there]
    own = split_name(used[0]).sequence if len(used) == 1 else ""
    others = [str(image.path) for image in images if split_name(_plain(image.name)).sequence not in ("", own)]
    if not own or not others:
        return []
    return [
        f"{listed(others, _SHOWN)}: by the name another sequence than {used[0]}, which the models use; predicted all "
        f"the same: if the name is right, give images of {used[0]} alone"
    ]


def _from_names(images: Sequence[InputImage], channels: _Channels) -> list[Found]:
    """Group image files into cases by their names."""
    count, first = len(channels.names), channels.needed.index(True)
    splits = {image: split_channel(_plain(image.name)) if image.may_be_channel else None for image in images}
    numbers = {split[1] for split in splits.values() if split is not None}
    if are_colours(channels.names) and all(is_picture(image.path) for image in images) and not {1, 2} <= numbers:
        return [Found(_whole(image, channels), str(image.path)) for image in _without_number(images, numbers)]
    # with one channel, or without any file of the first needed channel, the numbers in CASE_0001, CASE_0002 … count
    # cases, not channels
    numbers_are_channels = first in numbers and (count > 1 or (None not in splits.values() and numbers == {0}))
    grouped: dict[str, dict[int, Path]] = {}
    found = []
    for image, split in splits.items():
        if numbers_are_channels and split is not None:
            files = grouped.setdefault(split[0], {})
            if split[1] in files:
                found.append(_twice(split, image.path, files[split[1]], count))
            files[split[1]] = image.path
        else:
            found.append(Found(_whole(image, channels), str(image.path)))
    found += [Found(_numbered(name, files, channels), str(files[min(files)])) for name, files in grouped.items()]
    return found


def _without_number(images: Sequence[InputImage], numbers: set[int]) -> list[InputImage]:
    """Pictures in colour, whose channels are in one file, without nnU-Net's number where all of them have it."""
    splits = [split_channel(_plain(image.name)) for image in images]
    if numbers != {0} or None in splits:
        return list(images)
    return [replace(image, name=split[0]) for image, split in zip(images, splits, strict=True) if split is not None]


def _whole(image: InputImage, channels: _Channels) -> Case:
    images = tuple(image.path if there else None for there in channels.used)
    colours = are_colours(channels.names) and is_picture(image.path)
    return Case(
        _plain(image.name),
        images,
        several_channels_in_one_file=len(images) > 1,
        problems=() if colours else _one_series(image.path, channels),
        colours=colours,
    )


def _one_series(path: Path, channels: _Channels) -> tuple[str, ...]:
    """The problem of a DICOM series, which is one sequence, where the models want several."""
    names = [name for name, there in zip(channels.names, channels.used, strict=True) if there]
    if len(names) < 2 or not _is_series(path):
        return ()
    patterns = " ".join(f"--sequence '{name}=*{name.lower()}*'" for name in names)
    return (
        f"{path}: the models want {listed(names)}, and this is one series of DICOM. Write a table with `autoseg table "
        f"FOLDER -o cases.csv {patterns}`, and predict it; or predict from one sequence with --sequences {names[0]}",
    )


def _is_series(path: Path) -> bool:
    # what cannot be read is told when its case is read
    with suppress(ImageError):
        return is_dicom(path)
    return False


def _numbered(name: str, files: dict[int, Path], channels: _Channels) -> Case:
    problems = []
    must = zip(channels.names, channels.needed, strict=True)
    lacking = [f"{name} (_{i:04d})" for i, (name, needed) in enumerate(must) if needed and i not in files]
    extra = [str(file) for i, file in sorted(files.items()) if i >= len(channels.names)]
    if lacking:
        problems.append(
            f"wrong number of channels: no file for {', '.join(lacking)} beside {files[min(files)]}; "
            f"a sequence that was not acquired is left out in a {TABLE_NAME}, or by --sequences"
        )
    if extra:
        problems.append(f"wrong number of channels: {', '.join(extra)}, but the model has {len(channels.names)}")
    images = tuple(files.get(i) if there else None for i, there in enumerate(channels.used))
    return Case(name, images, problems=tuple(problems))


def _twice(split: tuple[str, int], image: Path, other: Path, count: int) -> Found:
    problem = f"{image} and {other} are both channel _{split[1]:04d}"
    return Found(Case(split[0], (image,) + (None,) * (count - 1), problems=(problem,)), str(image))


def _from_table(table: CsvTable, channels: _Channels) -> list[Found]:
    matched = match_channels(table.columns, channels.names)
    of_pictures = table.sequence_columns() if are_colours(channels.names) and not any(matched) else ()
    if len(of_pictures) == 1:
        matched = of_pictures * len(channels.names)
    columns = tuple(column if there else None for column, there in zip(matched, channels.used, strict=True))
    if not any(columns):
        wanted = ", ".join(name for name, there in zip(channels.names, channels.used, strict=True) if there)
        raise InputError(
            f"{table.path}, line 1: no column is named like a channel of the model ({wanted}); "
            f"found {', '.join(table.columns)}"
        )
    found = [Found(_from_row(table, row, columns, channels.names), table.where(row)) for row in table.rows]
    # a malformed line becomes a case that cannot be predicted
    none = (None,) * len(channels.names)
    found += [
        Found(Case(f"(line {line})", none, problems=(problem,)), f"{table.path}, line {line}")
        for line, problem in table.malformed.items()
    ]
    return found


def _from_row(table: CsvTable, row: Row, columns: tuple[str | None, ...], channels: tuple[str, ...]) -> Case:
    images = tuple(None if column is None else table.file(row, column) for column in columns)
    cells = zip(columns, images, strict=True)
    problems = [text for column, image in cells for text in missing(image, table.where(row, column))]
    if not any(images):
        problems.append(f"{table.where(row)}: names no image of the model's channels")
    # an empty cell leaves it to the plan, since nothing was drawn yet
    sequence, wrong = named(table, row, channels)
    # one column of pictures in colour holds all channels
    colours = len(columns) > 1 and len(set(columns)) == 1
    return Case(
        table.case_name(row),
        images,
        patient=table.text(row, PATIENT) or None,
        drawn_on=sequence,
        several_channels_in_one_file=colours,
        problems=tuple(dict.fromkeys((*problems, *wrong))),
        colours=colours,
    )
