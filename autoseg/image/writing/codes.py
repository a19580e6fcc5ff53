"""Coded concepts of classes: which category and type a class has in DICOM and in 3D Slicer.

The default table, `codes.csv`, is of SNOMED CT. A table of the same columns that a user gives comes before it. A class
is found by its name: upper and lower case, `_` and `-` do not count, and where the name itself is not in a table,
neither do the words `left` and `right`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autoseg.disk.csv_files import TableRefused, read_rows
from autoseg.errors import InputError
from autoseg.image.segment_colours import Colour, parsed_colour
from autoseg.names import listed, nfc

COLUMNS = (
    *("name", "category_scheme", "category_code", "category_meaning"),
    *("type_scheme", "type_code", "type_meaning", "colour"),
)
"""Columns of a table of codes; `colour`, such as #E69F00, may be left out or empty."""

_DEFAULT_TABLE = Path(__file__).with_name("codes.csv")
# lengths of the value representations SH and LO, and characters that they cannot hold
_LONGEST = {"scheme": 16, "code": 16, "meaning": 64}
_NOT_HELD = re.compile(r"[\\\x00-\x1f\x7f-\x9f]")
# what separates the parts of a terminology entry in `.seg.nrrd`
_SEPARATORS = re.compile(r"[|~^]")
_SIDES = frozenset({"left", "right"})


@dataclass(frozen=True)
class Coding:
    """A coded concept.

    Args:
        scheme: its coding scheme, such as `SCT` for SNOMED CT.
        code: its code in that scheme, such as `10200004` for the liver.
        meaning: its meaning in words.
    """

    scheme: str
    code: str
    meaning: str


@dataclass(frozen=True)
class ClassCode:
    """What a table says of a class.

    Args:
        category: category of the segmented property, such as Anatomical Structure.
        type: type of the segmented property, such as Liver.
        colour: colour of the class; None = the palette's.
        is_default: whether no table has the class, so that a general concept stands for it.
    """

    category: Coding
    type: Coding
    colour: Colour | None = None
    is_default: bool = False


TISSUE = ClassCode(Coding("SCT", "85756007", "Tissue"), Coding("SCT", "85756007", "Tissue"), is_default=True)
"""Stands for a class that no table has."""

LESION = ClassCode(
    Coding("SCT", "49755003", "Morphologically Abnormal Structure"),
    Coding("SCT", "52988006", "Lesion"),
    is_default=True,
)
"""Stands for a class of lesions that no table has."""


@dataclass(frozen=True)
class CodeTable:
    """Codes of classes, keyed by folded name."""

    codes: Mapping[str, ClassCode]

    def of(self, name: str, *, lesion: bool) -> ClassCode:
        """Code of a class; a general one where no table has it.

        Args:
            name: name of the class.
            lesion: whether the plan says that it is of lesions.
        """
        found = (self.codes[key] for key in _keys(name) if key in self.codes)
        return next(found, LESION if lesion else TISSUE)


def code_table(path: Path | None = None) -> CodeTable:
    """Read the default table, and before it the table of a user.

    Args:
        path: CSV file with `COLUMNS`; None = the default table alone.

    Raises:
        InputError: the file is no table of codes; the message names file, line and column.
    """
    return CodeTable(_read(_DEFAULT_TABLE) | ({} if path is None else _read(path)))


def _folded(name: str) -> str:
    return " ".join(re.sub(r"[\W_]+", " ", nfc(name).casefold()).split())


def _keys(name: str) -> tuple[str, str]:
    """Folded name of a class, and the same without the words of a side."""
    key = _folded(name)
    return key, " ".join(word for word in key.split() if word not in _SIDES)


def _read(path: Path) -> dict[str, ClassCode]:
    try:
        rows = [(line, cells) for line, cells in read_rows(path, ",;") if any(cells)]
    except TableRefused as error:
        raise InputError(error.told(path)) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give a table of codes") from None
    header = [cell.strip().casefold() for cell in rows[0][1]] if rows else []
    lacking = [name for name in COLUMNS[:-1] if name not in header]
    if lacking:
        raise InputError(f"{path}, line 1: lacks the columns {', '.join(lacking)}; a table of codes has all of them")
    found: dict[str, ClassCode] = {}
    for line, cells in rows[1:]:
        where = f"{path}, line {line}"
        if len(cells) != len(header):
            raise InputError(f"{where}: has {len(cells)} cells, the first line has {len(header)}")
        row = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
        key = _folded(row["name"])
        if not key or key in found:
            why = "stands in two lines" if key else "is empty"
            raise InputError(f"{where}: the name {row['name']!r:.60} {why}; give each class one line")
        found[key] = ClassCode(_coding(where, row, "category"), _coding(where, row, "type"), _colour(where, row))
    return found


def _coding(where: str, row: Mapping[str, str], kind: str) -> Coding:
    cells = []
    for part, longest in _LONGEST.items():
        column = f"{kind}_{part}"
        text = row[column]
        if not 1 <= len(text) <= longest or _NOT_HELD.search(text) or _SEPARATORS.search(text):
            raise InputError(
                f"{where}: {column} is {text!r:.80}; DICOM takes 1 to {longest} characters, and no \\ | ~ ^ is allowed"
            )
        cells.append(text)
    return Coding(*cells)


def _colour(where: str, row: Mapping[str, str]) -> Colour | None:
    text = row.get("colour", "")
    colour = parsed_colour(text)
    if text and colour is None:
        raise InputError(f"{where}: colour is {text!r:.40}, and must be six hexadecimal digits, such as #E69F00")
    return colour


def told_defaults(names: Sequence[str], codes: Sequence[ClassCode]) -> tuple[str, ...]:
    """Sentences that say which classes got a general concept, since no table has them.

    Args:
        names: names of the classes.
        codes: code of each class.
    """
    sentences = []
    for general in (TISSUE, LESION):
        without = [name for name, code in zip(names, codes, strict=True) if code == general]
        if without:
            sentences.append(
                f"The table of codes lacks {', '.join(without)}: coded as {general.type.meaning} "
                f"({general.type.scheme} {general.type.code}); a table given by --codes says better"
            )
    return tuple(sentences)


def told_unused(path: Path, names: Sequence[str]) -> tuple[str, ...]:
    """A sentence where a user's table names none of the classes, as where it spells them otherwise.

    Args:
        path: CSV file of the user's coded concepts, a row for each name of a class.
        names: names of the classes.

    Raises:
        InputError: the file is no table of codes.
    """
    given = _read(path)
    if any(key in given for name in names for key in _keys(name)):
        return ()
    return (f"{path}: names none of the classes ({listed(names)}), so that it changes nothing",)
