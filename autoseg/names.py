"""Names of cases, classes and configurations: which may become file names, and how all are shown and listed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator

_UNSAFE = re.compile(r'[/\\:*?"<>|\x00-\x1f]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_LONGEST_NAME = 150
# control characters, and marks that turn the direction of what follows
_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def why_unsafe(name: str) -> str | None:
    """The reason why `name` is no possible file name on every operating system; None if it is possible."""
    if not name:
        return "is empty"
    if _UNSAFE.search(name):
        return 'holds one of the characters / \\ : * ? " < > | or a control character'
    if name != name.strip() or name.endswith(".") or name.startswith((".", "-")):
        return "begins with a point, hyphen or blank, or ends with a point or blank"
    if _RESERVED.fullmatch(name):
        return "is reserved on Windows"
    if len(name.encode()) > _LONGEST_NAME:
        return f"is longer than {_LONGEST_NAME} bytes"
    return None


def same_name(name: str) -> str:
    """A text that is equal for names that a disk may take for one: other cases, other Unicode forms of an accent."""
    return nfc(nfc(name).casefold())


def nfc(text: str) -> str:
    """A text in the Unicode form in which an accent and its letter are one; macOS stores names in the other."""
    return unicodedata.normalize("NFC", text)


def _plain(name: str) -> str:
    if reason := why_unsafe(name):
        raise ValueError(f"the name {name!r} {reason}")
    return name


PlainName = Annotated[str, AfterValidator(_plain)]
"""A name that is joined to paths: it names an entry of its folder and never leads out of it."""


def is_text(path: str) -> bool:
    """Whether a path can be written as UTF-8; that of a file whose name holds other bytes cannot."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def visible(text: str) -> str:
    """Return a text in which control characters are shown as signs and do nothing, such as `␛` for escape.

    Line breaks and tabulators stay. Whatever is printed, drawn or put into a page goes through this, since names come
    from files that others made.
    """
    return _INVISIBLE.sub(lambda found: _sign(ord(found[0])), text)


def _sign(code: int) -> str:
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else f"\\u{code:04x}"


NAMES_TOLD = 10
"""So many names stand in one sentence; the others are counted."""


def listed(names: Iterable[str], most: int = NAMES_TOLD) -> str:
    """Return names in one text; of many names the first ones, and how many more there are.

    Args:
        names: names in the order in which they are told.
        most: largest number of names that are told.

    Examples:
        >>> listed(["a", "b", "c"], most=2)
        'a, b and 1 more'
    """
    every = list(names)
    more = len(every) - most
    return ", ".join(every[:most]) + (f" and {more} more" if more > 0 else "")
