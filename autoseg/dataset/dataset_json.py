"""Reads and checks the `dataset.json` of a raw data set; error messages name the field and its line.

nnU-Net v2 and the Medical Segmentation Decathlon both use this name; beside a `cases.csv` it may
declare the labels. Fields that autoseg does not use are ignored.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from autoseg.dataset.json_lines import Place, lines_of, repeated_fields
from autoseg.dataset.label_regions import labels_with_regions, region_problems
from autoseg.disk.text_files import read_json_bytes
from autoseg.errors import MOST_LISTED, DatasetError
from autoseg.image.labels import IGNORE, Labels

FILE_NAME = "dataset.json"
# class indices are stored as 8-bit numbers
MOST_LABELS = 256
MOST_TOLD = 1_000
"""So many wrong fields are told; the others are counted."""

Model = TypeVar("Model", bound=BaseModel)


def _one_number(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a label value is a whole number")
    return value


def _value_or_region(value: object, check: ValidatorFunctionWrapHandler) -> object:
    """A value, or the values of a region in ascending order; a list of one value is that value."""
    if not isinstance(value, list):
        return check(value)
    if not 0 < len(value) <= MOST_LABELS:
        raise ValueError(f"a region holds {len(value)} values; give it one at least and {MOST_LABELS} at most")
    values = sorted({check(one) for one in value})
    return values[0] if len(values) == 1 else tuple(values)


def _in_order(value: object) -> object:
    """Return the channel names in the order of their numbers, which must be 0, 1, 2 and so on."""
    if not isinstance(value, dict):
        raise ValueError('expected channel numbers and names, such as {"0": "T1", "1": "T2"}')
    if not value:
        raise ValueError("no channel is declared")
    if sorted(value) != sorted(str(i) for i in range(len(value))):
        raise ValueError(f"channels must be numbered 0 to {len(value) - 1}, found {', '.join(sorted(value))}")
    return tuple(value[str(i)] for i in range(len(value)))


def _labels(value: object) -> object:
    """Return {name: value}, from nnU-Net's form as it is, or from the Decathlon's {value: name}."""
    if not isinstance(value, dict):
        raise ValueError('expected names and values, such as {"background": 0, "liver": 1}')
    for name in (str(name) for name in [*value, *(n for n in value.values() if isinstance(n, str))]):
        if name != IGNORE and name.casefold() == IGNORE:
            # nnU-Net learns a label of this name like any other
            raise ValueError(
                f'write "{IGNORE}" for {name!r} if its voxels are not annotated, else give it another name'
            )
    if value and all(isinstance(name, str) for name in value.values()):
        names = list(value.values())
        if len(set(names)) < len(names):
            raise ValueError("two labels have the same name")
        return {name: _as_number(key) for key, name in value.items()}
    return value


def _text_if_any(value: object) -> object:
    # only people read the description, so a value that is no text is no reason to refuse a data set
    return value.strip() if isinstance(value, str) else ""


def _stated_or_none(value: object) -> object:
    # only autoseg reads this field, so another value in it is no reason to refuse a data set
    return value if isinstance(value, bool) else None


def _as_number(text: str) -> object:
    try:
        return int(text)
    except ValueError:
        return text


ChannelNames = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_in_order), Field(min_length=1)
]
# what the voxel types of image files hold
LabelValue = Annotated[int, BeforeValidator(_one_number), Field(ge=-(2**31), lt=2**32)]
Values = int | tuple[int, ...]
"""Value of a label, or the values of a region."""
LabelValues = Annotated[dict[str, Annotated[LabelValue, WrapValidator(_value_or_region)]], BeforeValidator(_labels)]
RegionOrder = Annotated[tuple[LabelValue, ...], Field(max_length=MOST_LABELS)]
CaseCount = Annotated[int, Field(ge=0, le=10_000_000)]


class Declaration(BaseModel):
    """Fields of a `dataset.json` that all layouts share; beside a `cases.csv` each of them may be absent.

    Args:
        name: name of the data set.
        description: text that describes the data set; empty where there is none.
        synthetic: whether the images are synthetic, so that no patient is in them; None = the file does not state it.
        channel_names: names of the channels, in order; the Decathlon calls them `modality`.
        labels: value of each label in the label maps, or values of each region, by name.
        regions_class_order: value that each region gets in predicted label maps, in the order of `labels`; None = not
            given, and without regions it has no meaning.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str | None = None
    description: Annotated[str, BeforeValidator(_text_if_any)] = ""
    synthetic: Annotated[bool | None, BeforeValidator(_stated_or_none)] = None
    channel_names: ChannelNames | None = Field(default=None, validation_alias=AliasChoices("channel_names", "modality"))
    labels: LabelValues | None = None
    regions_class_order: RegionOrder | None = None


def read_json(path: Path) -> dict[str, Any]:
    """Read the JSON object in a file.

    Raises:
        DatasetError: the file cannot be read, is not JSON (the line is named), gives a field twice, or holds no
            object.
    """
    repeated = False

    def noticing_repeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal repeated
        fields = dict(pairs)
        repeated |= len(fields) < len(pairs)
        return fields

    try:
        text = _text(path)
        document = json.loads(text, object_pairs_hook=noticing_repeated)
    except json.JSONDecodeError as error:
        raise DatasetError([f"{path}, line {error.lineno}, column {error.colno}: not JSON ({error.msg})"]) from None
    except RecursionError:
        raise DatasetError([f"{path}: is nested deeper than the {FILE_NAME} of any data set"]) from None
    except (OSError, ValueError) as error:
        raise DatasetError([f"{path}: cannot be read ({error})"]) from None
    if repeated:
        twice = repeated_fields(text)
        raise DatasetError(
            [f"{path}, line {line}: field {name!r} is given twice in one object" for name, line in twice[:MOST_TOLD]]
        )
    if not isinstance(document, dict):
        raise DatasetError([f"{path}: expected an object {{…}} with the data set's fields"])
    return document


def parse(model: type[Model], document: Mapping[str, Any], path: Path) -> Model:
    """Check the content of a `dataset.json` against a pydantic model and return it as that model.

    Raises:
        DatasetError: a field is missing or wrong; the message lists all of them with their lines.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise DatasetError(_problems(error, path)) from None


def _problems(error: ValidationError, path: Path) -> list[str]:
    """A sentence for each wrong field, with its line."""
    count = error.error_count()
    if count > MOST_LISTED:
        return [f"{path}: {count:,} values are wrong; is it the {FILE_NAME} of a data set?"]
    told = error.errors()[:MOST_TOLD]
    lines = _lines(path, [e["loc"] for e in told])
    problems = [
        f"{path}{lines.get(e['loc'], '')}, field {_dotted(e['loc'])}: {e['msg'].removeprefix('Value error, ')}"
        + (f" (found {e['input']!r:.60})" if e["type"] != "missing" and not isinstance(e["input"], dict) else "")
        for e in told
    ]
    return [*problems, f"{path}: {count - MOST_TOLD} more fields are wrong"] if count > MOST_TOLD else problems


def labels_of(values: Mapping[str, Values], path: Path, order: Sequence[int] | None = None) -> Labels:
    """Return the labels that a `dataset.json` declares, background first, then by value.

    Args:
        values: value of each label, or values of each region, by name.
        path: file that messages name.
        order: field `regions_class_order`; None = not given.

    Raises:
        DatasetError: there is no background, no other label, a value that is given twice, too many labels, an order
            that does not fit the regions, or none where one is needed.
    """
    learned = {name: value for name, value in values.items() if name != IGNORE}
    ignore = values.get(IGNORE)
    found = [*_ignore_problems(ignore, learned), *_label_problems(learned, ignore is not None)]
    regions = {name: as_tuple(value) for name, value in learned.items() if value != 0}
    has_regions = any(len(region) > 1 for region in regions.values())
    if has_regions and not found:
        found += region_problems(regions, order)
    if found:
        lines = _lines(path, [place for place, _ in found])
        raise DatasetError(
            [f"{path}{lines.get(place, '')}, field {_dotted(place)}: {problem}" for place, problem in found]
        )
    names = {as_tuple(value)[0]: name for name, value in learned.items()}
    assert ignore is None or isinstance(ignore, int)
    if has_regions:
        return labels_with_regions(regions, order, names[0], ignore)
    ordered = [0, *sorted(value for value in names if value != 0)]
    return Labels(values=tuple(ordered), names=tuple(names[value] for value in ordered), ignore=ignore)


def as_tuple(value: Values) -> tuple[int, ...]:
    """The values of a region, or the one value of a label."""
    return value if isinstance(value, tuple) else (value,)


def _label_problems(values: Mapping[str, Values], has_ignore: bool) -> list[tuple[Place, str]]:
    """What is wrong with the values of the labels and regions: each the field and a sentence."""
    found: list[tuple[Place, str]] = []
    background = next((name for name in values if name.casefold() == "background"), None)
    of_all: Place = ("labels",)
    single = Counter(value for value in values.values() if isinstance(value, int))
    if twice := sorted(value for value, times in single.items() if times > 1):
        found.append((of_all, f"value {', '.join(map(str, twice))} is given to two labels"))
    if 0 not in single:
        found.append((of_all, "no label has the value 0, which is the background's"))
    elif background is not None and values[background] != 0:
        found.append((("labels", background), "the background must have the value 0"))
    every = {one for value in values.values() for one in as_tuple(value)}
    if len(every) < 2:
        found.append((of_all, "declare one label beside the background at least"))
    if (count := max(len(every), len(values)) + has_ignore) > MOST_LABELS:
        found.append((of_all, f"{count} labels, {MOST_LABELS} at most are supported"))
    return found


def _ignore_problems(ignore: Values | None, values: Mapping[str, Values]) -> list[tuple[Place, str]]:
    """What is wrong with the value of the voxels that are not annotated; nnU-Net wants it to be the highest too."""
    highest = max((one for value in values.values() for one in as_tuple(value)), default=0)
    if isinstance(ignore, tuple):
        return [(("labels", IGNORE), "has several values; give it one value of its own")]
    if ignore is not None and ignore <= highest:
        return [(("labels", IGNORE), f"must have the highest value; it has {ignore}, and {highest} is another label's")]
    return []


def is_ct(channel: str) -> bool:
    """Whether a channel holds Hounsfield units: its name is "CT", in upper or lower case (nnU-Net's rule)."""
    return channel.casefold() == "ct"


def is_synthetic(stated: bool | None, name: str) -> bool:
    """Whether the images of a data set are synthetic, which its reports then say.

    Data sets that do not state it, and RUN folders of earlier releases, which did not record it, go by the name.

    Args:
        stated: field `synthetic` of the data set's `dataset.json`, or of its record in a RUN folder; None = not stated.
        name: name of the data set.
    """
    return any(word in name.casefold() for word in ("phantom", "synthetic")) if stated is None else stated


def _dotted(location: Sequence[int | str]) -> str:
    return ".".join(str(part) for part in location) or "(the whole file)"


def _lines(path: Path, places: Sequence[Place]) -> dict[Place, str]:
    """For each field its line, as `, line 7`; for a missing one that of the enclosing field, if there is one."""
    try:
        return {place: f", line {line}" for place, line in lines_of(_text(path), places).items()}
    except (OSError, ValueError):
        return {}


def _text(path: Path) -> str:
    return read_json_bytes(path).decode()
