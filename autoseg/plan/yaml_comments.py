"""Writing and reading of YAML with a comment at the end of a field's line; plans store their reasons so.

Fields are named by dotted paths such as `configurations.3d.spacing`.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from autoseg.disk.text_files import read_yaml_bytes
from autoseg.errors import PlanError
from autoseg.files import read_utf8
from autoseg.plan.yaml_bounds import BeyondBounds, BoundedComposer

# ruamel.yaml lets these through where a value cannot be made, such as a whole number of 5,000 digits or a 31st of June
ERRORS_OF_VALUES = (ValueError, TypeError, AttributeError, LookupError, AssertionError, NotImplementedError)


def commented_text(document: Mapping[str, object], reasons: Mapping[str, str]) -> str:
    """Return the YAML text of a document with comments.

    Args:
        document: mappings, lists and plain values.
        reasons: comment at the end of a field's line, keyed by the dotted path of the field.
    """
    out = io.StringIO()
    _yaml().dump(_commented(dict(document), reasons, ""), out)
    return out.getvalue()


def read_yaml(path: Path) -> object:
    """Read the document in a plan file, with its comments.

    Raises:
        PlanError: the file is missing or not YAML.
    """
    try:
        yaml = _yaml()
        yaml.Composer = BoundedComposer
        return yaml.load(read_utf8(path, read_yaml_bytes).decode())
    except FileNotFoundError:
        raise PlanError(f"{path}: does not exist; `autoseg plan-and-preprocess` makes it") from None
    except BeyondBounds as error:
        raise PlanError(f"{path}: {error}; undo the change, or plan again") from None
    except (YAMLError, *ERRORS_OF_VALUES) as error:
        raise PlanError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from None


def comments(document: object) -> dict[str, str]:
    """Return the comments at the end of fields' lines, keyed by the dotted path of the field.

    Args:
        document: document as `read_yaml` returns it.
    """
    found: dict[str, str] = {}

    def walk(node: object, prefix: str) -> None:
        if not isinstance(node, CommentedMap):
            return
        for key, value in node.items():
            token = node.ca.items.get(key, [None] * 3)[2]
            if token is not None and token.value.lstrip().startswith("#"):
                found[prefix + str(key)] = token.value.splitlines()[0].strip().removeprefix("#").strip()
            walk(value, f"{prefix}{key}.")

    walk(document, "")
    return found


def _yaml() -> YAML:
    yaml = YAML()
    yaml.width = 10_000
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _commented(value: object, reasons: Mapping[str, str], prefix: str) -> object:
    if isinstance(value, dict):
        node = CommentedMap()
        for key, item in value.items():
            node[key] = _commented(item, reasons, f"{prefix}{key}.")
            if reason := reasons.get(prefix + key):
                node.yaml_add_eol_comment(" ".join(reason.split()), key)
        return node
    if isinstance(value, list):
        # a list of numbers is written on one line, a list of mappings as a block
        items = CommentedSeq([_commented(item, {}, "") for item in value])
        if not any(isinstance(item, dict) for item in value):
            items.fa.set_flow_style()
        return items
    return value
