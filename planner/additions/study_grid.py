"""The grid of a study: make the configuration of each cell from the configuration of its input dimension.

In: the cells, the decisions for each dimension, and the fingerprint. Out: the decisions with one configuration per
cell. A dimension is fitted to the hardware and the time once, for the cell with most sequences, whose step takes
longest. All cells of the dimension share its spacing, patch, network and training time, so that their results differ
by what they see. A cell with fewer sequences has faster steps, and takes somewhat more of them in this time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.errors import PlanError
from autoseg.plan.configuration import Configuration
from autoseg.plan.decision import Decision, WithReasons
from autoseg.plan.study_cells import Cell
from planner.rules.reference_plan import PlannedDecisions

SHARED_CASES = "configurations of one spacing share their preprocessed cases"
"""Reason for `preprocessed_as` of every configuration of a study."""


def dimensions_of(decisions: PlannedDecisions, cells: Sequence[Cell]) -> PlannedDecisions:
    """Keep only the configurations of a study's dimensions, each with the sequences of the largest cell.

    Args:
        decisions: decisions for every configuration that the data set allows.
        cells: the cells of the study.

    Raises:
        PlanError: a dimension is not planned for this data set.
    """
    most = max(cells, key=lambda cell: len(cell.sequences)).sequences
    names = dict.fromkeys(cell.dimension for cell in cells)
    kept = {}
    for name in names:
        configuration = decisions.plan.configuration(name)
        # if the configuration whose cases it would read is not in the study, it gets cases of its own
        source = configuration.preprocessed_as if configuration.preprocessed_as in names else None
        kept[name] = WithReasons(configuration.changed(sequences=most, preprocessed_as=source))
    return decisions.changed(configurations=kept)


def with_cells(decisions: PlannedDecisions, cells: Sequence[Cell], fingerprint: Fingerprint) -> PlannedDecisions:
    """Add a configuration with its reasons for every cell to the decisions.

    Args:
        decisions: decisions for every dimension, already fitted to hardware and time.
        cells: the cells of the study.
        fingerprint: fingerprint that tells which case has which sequences.

    Raises:
        PlanError: no case has any of a cell's sequences.
    """
    homes = shared_cases(decisions.plan.configurations)
    configurations = {
        name: decisions.configuration(name).changed(
            sequences=Decision(None, "all that the data set has"),
            preprocessed_as=Decision(homes[name] if homes[name] != name else None, SHARED_CASES),
        )
        for name in decisions.plan.configurations
    }
    for cell in cells:
        configurations[cell.name] = _configuration(cell, configurations[cell.dimension], homes, fingerprint)
    return decisions.changed(configurations=configurations)


def shared_cases(configurations: Mapping[str, Configuration]) -> dict[str, str]:
    """For each configuration the name of the first one with the same spacing, whose preprocessed cases it reads.

    This may be the configuration itself. Spacing is the only part of a configuration that preprocessing depends on.
    """
    first: dict[tuple[float | None, ...], str] = {}
    return {name: first.setdefault(c.spacing, name) for name, c in configurations.items()}


def _configuration(
    cell: Cell, of_dimension: WithReasons[Configuration], homes: Mapping[str, str], fingerprint: Fingerprint
) -> WithReasons[Configuration]:
    """The configuration of a cell; what it does not decide, it takes from its dimension, with the reasons.

    Args:
        cell: cell of the study.
        of_dimension: configuration of the cell's input dimension.
        homes: for each dimension, the name of the configuration whose preprocessed cases it reads.
        fingerprint: fingerprint that tells which case has which sequences.

    Raises:
        PlanError: no case has any of the cell's sequences.
    """
    places = [fingerprint.channels.index(name) for name in cell.sequences]
    has = [[case.present[i] for i in places] for case in fingerprint.cases]
    part, complete = sum(map(any, has)), sum(map(all, has))
    if not part:
        raise PlanError(f"{cell.name}: no case has {' or '.join(cell.sequences)}; leave this cell out")
    configuration = of_dimension.changed(
        sequences=Decision(
            cell.sequences, f"a cell of the study; {part} of {len(has)} cases have at least one of them"
        ),
        preprocessed_as=Decision(homes[cell.dimension], SHARED_CASES),
    )
    if complete < part:
        return configuration
    counted = f"{complete} of the {part} cases that take part have all of {', '.join(cell.sequences)}"
    return configuration.changed(
        availability_code=Decision(False, counted),
        training=WithReasons(configuration.value.training).changed(sequence_dropout=Decision(0.0, counted)),
    )
