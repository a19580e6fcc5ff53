"""Check of a plan: whether the network inputs of its configurations can be made.

In: the configurations and the names of the sequences. Out: the problems found with `sequences`, `neighbours` and
shared preprocessed cases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from autoseg.plan.configuration import Configuration


def input_problems(configurations: Mapping[str, Configuration], channels: Sequence[str]) -> list[str]:
    """Return one sentence per problem, which begins with the dotted path of the field.

    Args:
        configurations: configurations of a plan, keyed by name.
        channels: names of the plan's channels, which are its sequences.
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
    """Problems of `preprocessed_as`: the other configuration must have its own cases and the same spacing."""
    source = configuration.preprocessed_as
    if source is None or source == name or source not in others:
        return []
    if others[source].preprocessed_as not in (None, source):
        return [f"preprocessed_as: {source} has no preprocessed cases of its own"]
    if others[source].spacing != configuration.spacing:
        return [f"spacing: is not that of {source}, whose preprocessed cases it reads (preprocessed_as)"]
    return []
