"""The type that planning rules return: a planned value with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Decision(Generic[T]):
    """A planned value and one sentence that tells why it was chosen."""

    value: T
    reason: str
