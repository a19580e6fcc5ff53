"""Bounds of a YAML document, tested while it is read: its depth, its number of values, and that nothing is repeated.

A short document can stand for one that no memory holds, by aliases of aliases ("billion laughs"), and each value takes
about a kilobyte. So the reading ends at the first value beyond the bounds.
"""

from __future__ import annotations

from typing import Any

from ruamel.yaml.composer import Composer
from ruamel.yaml.events import AliasEvent

MOST_DEPTH = 32
MOST_VALUES = 100_000


class BeyondBounds(Exception):
    """A YAML document is beyond the bounds; the message says which one, and at which line."""


class BoundedComposer(Composer):
    """The part of ruamel.yaml that makes nodes from the events of the parser, with bounds."""

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader=loader)
        self._depth = 0
        self._values = 0

    def compose_node(self, parent: Any, index: int) -> Any:
        """Make the next node and all nodes in it.

        Raises:
            BeyondBounds: the node is an alias, or lies too deep, or is one too many.
        """
        event = self.parser.peek_event()
        line = event.start_mark.line + 1
        if isinstance(event, AliasEvent):
            raise BeyondBounds(f"line {line}: *{event.anchor:.40} repeats another value; write the value itself")
        self._depth += 1
        self._values += 1
        if self._depth > MOST_DEPTH:
            raise BeyondBounds(f"line {line}: is nested deeper than any plan")
        if self._values > MOST_VALUES:
            raise BeyondBounds(f"line {line}: holds more than {MOST_VALUES:,} values, more than any plan")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node
