"""A planned value with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Decision(Generic[T]):
    """A planned value and, in one sentence, why it is so."""

    value: T
    reason: str
