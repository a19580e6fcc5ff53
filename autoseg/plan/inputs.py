"""Whether the inputs of a plan's configurations can be made: sequences, neighbours, shared preprocessed cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autoseg.plan.configuration import Configuration


def input_problems(configurations: Mapping[str, Configuration], channels: Sequence[str]) -> list[str]:
    """What is wrong, one sentence each, that begins with the field's path.

    Args:
        configurations: of a plan, by name.
        channels: names of its sequences.
    """
    problems = []
    for name, configuration in configurations.items():
        found = (
            *_wrong_sequences(configuration.sequences, channels),
            *_wrong_neighbours(configuration),
            *_wrong_source(name, configuration, configurations),
        )
        problems += [f"configurations.{name}.{text}" for text in found]
    return problems


def _wrong_sequences(chosen: Sequence[str] | None, channels: Sequence[str]) -> list[str]:
    if chosen is None:
        return []
    if not chosen:
        return ["sequences: is empty; null stands for all"]
    if unknown := [sequence for sequence in chosen if sequence not in channels]:
        return [f"sequences: no channel is called {', '.join(unknown)}; there are {', '.join(channels)}"]
    return ["sequences: names one twice"] if len(set(chosen)) < len(chosen) else []


def _wrong_neighbours(configuration: Configuration) -> list[str]:
    if configuration.neighbours and configuration.slice_axis is None:
        return ["neighbours: a 3D configuration (slice_axis: null) has none"]
    return []


def _wrong_source(name: str, configuration: Configuration, others: Mapping[str, Configuration]) -> list[str]:
    """Preprocessed cases are shared by configurations of one spacing, and belong to one that has its own."""
    source = configuration.preprocessed_as
    if source is None or source == name or source not in others:
        return []
    if others[source].preprocessed_as not in (None, source):
        return [f"preprocessed_as: {source} has no preprocessed cases of its own"]
    if others[source].spacing != configuration.spacing:
        return [f"spacing: is not that of {source}, whose preprocessed cases it reads (preprocessed_as)"]
    return []
