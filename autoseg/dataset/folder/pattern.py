"""Finds images and label maps by patterns such as `scans/{case}_{sequence}.nii.gz`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from autoseg.dataset.folder.account import Entry
from autoseg.dataset.folder.pair import ONLY
from autoseg.errors import InputError
from autoseg.image.walk import LeftOut

FIELDS = ("case", "sequence", "patient")
MOST_FIELDS, MOST_LETTERS = 5, 255
"""A pattern with more of them takes long to compare with a long name."""

_FIELD = re.compile(r"\{([^{}]*)\}|(\*)|([^{}*]+)|(.)")


def entries_by_pattern(
    folder: Path, paths: Sequence[Path], images: str, label: str | None
) -> tuple[list[Entry], list[LeftOut]]:
    """Return an entry for each path that fits a pattern, and what fits none.

    A field in braces stands for any text without a slash, `*` for any such text that tells nothing. Where both fit, the
    path is a label map.

    Args:
        folder: folder to which the patterns are relative.
        paths: files, and folders of DICOM slices.
        images: pattern of the images, with the field `{case}`.
        label: pattern of the label maps, with the field `{case}`; None = there are none.

    Raises:
        InputError: a pattern is malformed, or fits no file.
    """
    of_label = None if label is None else compile_pattern("label", label)
    # a sign such as _ may be in a case's name or end it: both are tried, and the case that has a label map is right
    of_image = [compile_pattern("images", images, greedy=greedy) for greedy in (True, False)]
    texts = {path: unicodedata.normalize("NFC", path.relative_to(folder).as_posix()) for path in paths}
    entries: list[Entry] = []
    for path in paths:
        if of_label is not None and (match := _matched(of_label, texts[path])):
            entries.append(Entry(path, match["case"], "", match.groupdict().get("patient"), is_label=True))
    annotated, labelled = {entry.case for entry in entries}, {entry.path for entry in entries}
    left_out: list[LeftOut] = []
    for path in paths:
        matches = [match for one in of_image if path not in labelled and (match := _matched(one, texts[path]))]
        if matches:
            fields = next((m for m in matches if m["case"] in annotated), matches[0]).groupdict()
            entries.append(Entry(path, fields["case"], fields.get("sequence") or ONLY, fields.get("patient"), False))
        elif path not in labelled:
            left_out.append(LeftOut(path, "fits no pattern"))
    met = {"label" if entry.is_label else "images" for entry in entries}
    for name in ("images", *([] if label is None else ["label"])):
        if name not in met:
            shown = ", ".join(path.relative_to(folder).as_posix() for path in paths[:3]) or "no image"
            raise InputError(
                f"--{name} {images if name == 'images' else label!s}: fits no file; the folder holds {shown}"
            )
    return entries, left_out


def _matched(expression: re.Pattern[str], text: str) -> re.Match[str] | None:
    return expression.fullmatch(text) if max(map(len, text.split("/"))) <= MOST_LETTERS else None


def compile_pattern(option: str, pattern: str, *, greedy: bool = False) -> re.Pattern[str]:
    """Return the regular expression of a pattern.

    Args:
        option: name of the option, for messages.
        pattern: text with fields in braces.
        greedy: whether `{case}` takes as much text as it can, or as little.

    Raises:
        InputError: there are too many fields, a field is unknown, `{case}` is missing, or a brace has no partner.
    """
    expression, given, free = "", set(), 0
    pattern = re.sub(r"\*+", "*", unicodedata.normalize("NFC", pattern).replace("\\", "/"))
    for field, star, text, odd in _FIELD.findall(pattern):
        if odd or (field and field not in FIELDS) or (not field and not star and not text):
            allowed = ", ".join(f"{{{name}}}" for name in FIELDS)
            raise InputError(f"--{option} {pattern}: {field or odd or '{}'!r} is no field; there are {allowed} and *")
        if text or star:
            expression += re.escape(text) if text else "[^/]*"
        else:
            # the same text where a field stands twice, as in {case}/{case}_T1.nii.gz
            lazy = "" if greedy and field == "case" else "?"
            expression += f"(?P={field})" if field in given else f"(?P<{field}>[^/]+{lazy})"
            given.add(field)
        free += not text
    if free > MOST_FIELDS:
        raise InputError(f"--{option} {pattern}: has {free} fields and *; {MOST_FIELDS} at most are possible")
    if "case" not in given:
        raise InputError(f"--{option} {pattern}: has no {{case}}, by which images and label maps find each other")
    return re.compile(expression)
