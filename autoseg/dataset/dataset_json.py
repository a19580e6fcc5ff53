"""Reads and checks the `dataset.json` of a raw data set; error messages name the field and its line.

nnU-Net v2 and the Medical Segmentation Decathlon both use this name; beside a `cases.csv` it may
declare the labels. Fields that autoseg does not use are ignored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import YAMLError

from autoseg.errors import DatasetError
from autoseg.image.labels import Labels

FILE_NAME = "dataset.json"
# class indices are stored as 8-bit numbers
MOST_LABELS = 256
Model = TypeVar("Model", bound=BaseModel)


def _one_number(value: object) -> object:
    if isinstance(value, list):
        raise ValueError("regions (a list of values) are not supported yet; give each label one value of its own")
    if isinstance(value, bool):
        raise ValueError("a label value is a whole number")
    return value


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
    if any(str(name).casefold() == "ignore" for name in value):
        raise ValueError('an "ignore" label is not supported yet; remove it, and the cases that use it')
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
LabelValues = Annotated[dict[str, Annotated[int, BeforeValidator(_one_number)]], BeforeValidator(_labels)]


class Declaration(BaseModel):
    """Fields of a `dataset.json` that all layouts share; beside a `cases.csv` each of them may be absent.

    Args:
        name: name of the data set.
        description: text that describes the data set; empty where there is none.
        synthetic: whether the images are synthetic, so that no patient is in them; None = the file does not state it.
        channel_names: names of the channels, in order; the Decathlon calls them `modality`.
        labels: value of each label in the label maps, by name.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str | None = None
    description: Annotated[str, BeforeValidator(_text_if_any)] = ""
    synthetic: Annotated[bool | None, BeforeValidator(_stated_or_none)] = None
    channel_names: ChannelNames | None = Field(default=None, validation_alias=AliasChoices("channel_names", "modality"))
    labels: LabelValues | None = None


def read_json(path: Path) -> dict[str, Any]:
    """Read the JSON object in a file.

    Raises:
        DatasetError: the file cannot be read, is not JSON (the line is named), gives a field twice, or holds no
            object.
    """
    text = ""

    def without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise DatasetError(
                [f"{path}{_line_of_second(name, text)}: field {name!r} is given twice in one object" for name in twice]
            )
        return dict(pairs)

    try:
        text = path.read_text(encoding="utf-8-sig")
        document = json.loads(text, object_pairs_hook=without_duplicates)
    except json.JSONDecodeError as error:
        raise DatasetError([f"{path}, line {error.lineno}, column {error.colno}: not JSON ({error.msg})"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError([f"{path}: cannot be read ({error})"]) from None
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
        raise DatasetError(
            [
                f"{_place(path, e['loc'])}, field {_dotted(e['loc'])}: {e['msg'].removeprefix('Value error, ')}"
                + (
                    f" (found {e['input']!r:.60})"
                    if e["type"] != "missing" and not isinstance(e["input"], dict)
                    else ""
                )
                for e in error.errors()
            ]
        ) from None


def labels_of(values: Mapping[str, int], path: Path) -> Labels:
    """Return the labels that a `dataset.json` declares, background first, then by value.

    Raises:
        DatasetError: there is no background, no other label, a value that is given twice, or too many labels.
    """
    where = f"{_place(path, ('labels',))}, field labels"
    problems = []
    names = {value: name for name, value in values.items()}
    if len(names) < len(values):
        twice = sorted({value for value in values.values() if list(values.values()).count(value) > 1})
        problems.append(f"{where}: value {', '.join(map(str, twice))} is given to two labels")
    background = [name for name in values if name.casefold() == "background"]
    if 0 not in names:
        problems.append(f"{where}: no label has the value 0, which is the background's")
    elif background and values[background[0]] != 0:
        place = _place(path, ("labels", background[0]))
        problems.append(f"{place}, field labels.{background[0]}: the background must have the value 0")
    if len(names) < 2:
        problems.append(f"{where}: declare one label beside the background at least")
    if len(names) > MOST_LABELS:
        problems.append(f"{where}: {len(names)} labels, {MOST_LABELS} at most are supported")
    if problems:
        raise DatasetError(problems)
    ordered = [0, *sorted(value for value in names if value != 0)]
    return Labels(values=tuple(ordered), names=tuple(names[value] for value in ordered))


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


def _line_of_second(field: str, text: str) -> str:
    """Line where a field is given for the second time, as `, line 7`; empty where it cannot be found."""
    try:
        YAML().load(text)  # JSON is YAML, whose reader knows the lines and refuses a key that is given twice
    except DuplicateKeyError as error:
        return f", line {error.problem_mark.line + 1}" if f'key "{field}"' in str(error.problem) else ""
    except YAMLError:
        pass
    return ""


def _dotted(location: Sequence[int | str]) -> str:
    return ".".join(str(part) for part in location) or "(the whole file)"


def _place(path: Path, location: Sequence[int | str]) -> str:
    """File and, where it can be found, line of a field; for a missing field, the line of the enclosing one."""
    try:
        node: Any = YAML().load(path.read_text(encoding="utf-8-sig"))  # JSON is YAML, and YAML nodes know their lines
        line = None
        for key in location:
            if key not in (node if isinstance(node, CommentedMap) else range(len(node))):
                break
            line = (node.lc.key(key) if isinstance(node, CommentedMap) else node.lc.item(key))[0] + 1
            node = node[key]
    except (YAMLError, OSError, AttributeError, KeyError, IndexError, TypeError):
        return str(path)
    return str(path) if line is None else f"{path}, line {line}"
