"""Finds images and label maps by patterns such as `scans/{case}_{sequence}.nii.gz`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from autoseg.dataset.folder.account import Entry, LeftOut
from autoseg.dataset.folder.pair import ONLY
from autoseg.errors import InputError

FIELDS = ("case", "sequence", "patient")
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
    wanted = {name: compile_pattern(name, text) for name, text in (("label", label), ("images", images)) if text}
    entries: list[Entry] = []
    left_out: list[LeftOut] = []
    met: set[str] = set()
    for path in paths:
        text = unicodedata.normalize("NFC", path.relative_to(folder).as_posix())
        found = next(((name, match) for name, one in wanted.items() if (match := one.fullmatch(text))), None)
        if found is None:
            left_out.append(LeftOut(path, "fits no pattern"))
            continue
        name, match = found
        fields, is_label = match.groupdict(), name == "label"
        met.add(name)
        sequence = "" if is_label else fields.get("sequence") or ONLY
        entries.append(Entry(path, fields["case"], sequence, fields.get("patient"), is_label))
    for name in wanted:
        if name not in met:
            shown = ", ".join(path.relative_to(folder).as_posix() for path in paths[:3]) or "no image"
            raise InputError(
                f"--{name} {images if name == 'images' else label!s}: fits no file; the folder holds {shown}"
            )
    return entries, left_out


def compile_pattern(option: str, pattern: str) -> re.Pattern[str]:
    """Return the regular expression of a pattern.

    Args:
        option: name of the option, for messages.
        pattern: text with fields in braces.

    Raises:
        InputError: a field is unknown, `{case}` is missing, or a brace has no partner.
    """
    expression, given = "", set()
    for field, star, text, odd in _FIELD.findall(pattern.replace("\\", "/")):
        if odd or (field and field not in FIELDS) or (not field and not star and not text):
            allowed = ", ".join(f"{{{name}}}" for name in FIELDS)
            raise InputError(f"--{option} {pattern}: {field or odd or '{}'!r} is no field; there are {allowed} and *")
        if text or star:
            expression += re.escape(text) if text else "[^/]*"
        else:
            # the same text where a field stands twice, as in {case}/{case}_T1.nii.gz
            expression += f"(?P={field})" if field in given else f"(?P<{field}>[^/]+?)"
            given.add(field)
    if "case" not in given:
        raise InputError(f"--{option} {pattern}: has no {{case}}, by which images and label maps find each other")
    return re.compile(expression)
