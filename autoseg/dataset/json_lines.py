"""Finds the lines of fields in a JSON text, in one pass, for messages.

A place is a tuple of keys (text) and indices (whole numbers), such as `("training", 3, "image")`. The text must be
JSON that `json.loads` accepts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator

Place = tuple[int | str, ...]

# a string, a sign, a line break, or another plain value
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:\n]|[^\s{}\[\],:"]+')


class _Open:
    """An object or list that is being read.

    Args:
        is_list: whether it is a list.
    """

    def __init__(self, is_list: bool) -> None:
        self.is_list = is_list
        self.key: int | str = 0
        self.named = False
        self._seen: set[str] = set()

    def next(self) -> None:
        """Go on to the next field or item."""
        self.named = False
        if isinstance(self.key, int):
            self.key += 1

    def name(self, token: str) -> bool:
        """Take the token as the key of the present field; an item of a list has its index.

        Returns:
            Whether the object has given the field before.
        """
        self.named = True
        if self.is_list:
            return False
        self.key = key = str(json.loads(token))
        again = key in self._seen
        self._seen.add(key)
        return again


def lines_of(text: str, places: Collection[Place]) -> dict[Place, int]:
    """Return the line of each place, from 1; for one that is not there that of the innermost one around it.

    Args:
        text: content of a JSON file.
        places: places of fields; one without any enclosing field in the text has no line, and is left out.

    Raises:
        ValueError: the text is not JSON.
    """
    wanted = {place[:length] for place in places for length in range(1, len(place) + 1)}
    found: dict[Place, int] = {}
    for place, line, again in _fields(text, max(map(len, wanted), default=0)):
        if place in wanted and not again:
            found.setdefault(place, line)
    inner = {place: _innermost(place, found) for place in places}
    return {place: found[around] for place, around in inner.items() if around}


def repeated_fields(text: str) -> list[tuple[str, int]]:
    """Return the name of each field that one object gives twice or more often, and the line of the second."""
    found: dict[Place, int] = {}
    for place, line, again in _fields(text, None):
        if again:
            found.setdefault(place, line)
    return [(str(place[-1]), line) for place, line in found.items()]


def _innermost(place: Place, found: dict[Place, int]) -> Place:
    return next((place[:length] for length in range(len(place), 0, -1) if place[:length] in found), ())


def _fields(text: str, deepest: int | None) -> Iterator[tuple[Place, int, bool]]:
    """Yield place and line of each field and item, and whether its object has given the field before.

    Those that lie deeper than `deepest` are left out.
    """
    stack: list[_Open] = []
    line = 1
    for match in _TOKEN.finditer(text):
        token = match[0]
        top = stack[-1] if stack else None
        if token == "\n":
            line += 1
        elif token in "]},":
            if top is None:
                raise ValueError(f"line {line}: not JSON")
            if token == ",":
                top.next()
            else:
                stack.pop()
        elif token != ":":
            is_key = False
            if top is not None and not top.named:
                is_key = not top.is_list
                again = top.name(token)
                if deepest is None or len(stack) <= deepest:
                    yield tuple(one.key for one in stack), line, again
            if token in "[{" and not is_key:
                stack.append(_Open(token == "["))
