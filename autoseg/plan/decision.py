"""What planning rules return: a value with its reason, or settings with the reasons for their fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Self, TypeAlias, TypeVar

from autoseg.files import FileModel

T = TypeVar("T")
Settings = TypeVar("Settings", bound=FileModel)


@dataclass(frozen=True)
class Decision(Generic[T]):
    """A planned value and one sentence that tells why it was chosen."""

    value: T
    reason: str


@dataclass(frozen=True)
class WithReasons(Generic[Settings]):
    """Settings, and the reasons for those of their fields that were decided.

    `changed` takes each new value together with its reason, so that the two always belong together:

        WithReasons(training).changed(optimizer=Decision("adamw", "converges in fewer steps than SGD"))

    Args:
        value: settings, such as `Training`, `Configuration` or `Plan`.
        reasons: reason for each decided field, keyed by its dotted path within the settings, such as `training.mirror`.
    """

    value: Settings
    reasons: dict[str, str] = field(default_factory=dict, hash=False)

    @classmethod
    def of(cls, settings: type[Settings], **fields: Decided) -> Self:
        """Make settings from the decisions on their fields.

        Args:
            settings: type of the settings.
            fields: as in `changed`; a field that is left out has its default.

        Raises:
            ValidationError: the settings have no such field, or the field cannot have such a value.
        """
        return cls(settings.model_validate(_values(fields)), _reasons(fields))

    def changed(self, **fields: Decided) -> Self:
        """Return the settings with other values and their reasons.

        Args:
            fields: keyed by field name: the decision on a field. For a field that holds settings itself, these
                settings with their reasons; where they have no reason for a field, the former reason stays. For a field
                that holds a mapping to settings, such as `configurations`, this mapping.

        Raises:
            ValidationError: the settings have no such field, or the field cannot have such a value.
        """
        value = self.value.changed(**_values(fields))
        return replace(self, value=value, reasons=self.reasons | _reasons(fields))

    def part(self, name: str) -> WithReasons[Any]:
        """Return the settings that the field `name` holds, with their reasons."""
        return WithReasons(getattr(self.value, name), reasons_within(self.reasons, name))


Decided: TypeAlias = Decision[Any] | WithReasons[Any] | Mapping[str, WithReasons[Any]]
"""What `WithReasons` takes for a field: a decision, settings with reasons, or a mapping to settings with reasons."""


def reasons_within(reasons: Mapping[str, str], part: str) -> dict[str, str]:
    """Return the reasons for the fields of one part, keyed by their dotted paths within this part.

    Args:
        reasons: reasons keyed by dotted path.
        part: dotted path of the part.
    """
    prefix = f"{part}."
    return {path.removeprefix(prefix): reason for path, reason in reasons.items() if path.startswith(prefix)}


def _values(fields: Mapping[str, Decided]) -> dict[str, object]:
    return {
        name: decided.value if isinstance(decided, Decision | WithReasons) else _values(decided)
        for name, decided in fields.items()
    }


def _reasons(fields: Mapping[str, Decided]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, decided in fields.items():
        if isinstance(decided, Decision):
            found[name] = decided.reason
        else:
            within = decided.reasons if isinstance(decided, WithReasons) else _reasons(decided)
            found |= {f"{name}.{path}": reason for path, reason in within.items()}
    return found
