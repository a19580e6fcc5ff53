"""The grid of a study: every cell's configuration, made from that of its input dimension.

In: the cells, the decisions for each dimension, the fingerprint. Out: the decisions with a
configuration a cell. The dimension is fitted to the hardware and the time once, for the cell with most
sequences, whose step is the dearest; all cells of it share spacing, patch, network and training time.
So what they see explains their results; a cell of fewer sequences, whose steps are quicker, takes some more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.errors import PlanError
from autoseg.plan.configuration import Configuration
from autoseg.plan.study_cells import Cell
from planner.rules.reference_plan import PlannedDecisions


def dimensions_of(decisions: PlannedDecisions, cells: Sequence[Cell]) -> PlannedDecisions:
    """The decisions for the dimensions of a study alone, each seeing as many sequences as its largest cell.

    Args:
        decisions: of every configuration that the data set allows.
        cells: of the study.

    Raises:
        PlanError: a dimension is not planned for this data set.
    """
    most = max(cells, key=lambda cell: len(cell.sequences)).sequences
    names = dict.fromkeys(cell.dimension for cell in cells)
    kept = {}
    for name in names:
        configuration = decisions.plan.configuration(name)
        # without the configuration that it shares cases with it has cases of its own
        source = configuration.preprocessed_as if configuration.preprocessed_as in names else None
        kept[name] = configuration.changed(sequences=most, preprocessed_as=source)
    return PlannedDecisions(decisions.plan.changed(configurations=kept), decisions.reasons)


def with_cells(decisions: PlannedDecisions, cells: Sequence[Cell], fingerprint: Fingerprint) -> PlannedDecisions:
    """The decisions with a configuration for every cell, and its reasons.

    Args:
        decisions: fitted to hardware and time, of every dimension.
        cells: of the study.
        fingerprint: says which cases have which sequences.

    Raises:
        PlanError: no case has any of a cell's sequences.
    """
    homes = shared_cases(decisions.plan.configurations)
    configurations = {
        name: c.changed(sequences=None, preprocessed_as=homes[name] if homes[name] != name else None)
        for name, c in decisions.plan.configurations.items()
    }
    shared = "configurations of one spacing share their preprocessed cases"
    reasons = decisions.reasons | {f"configurations.{name}.preprocessed_as": shared for name in configurations}
    of_dimensions = dict(reasons)
    for cell in cells:
        configuration, of_cell = _configuration(cell, configurations[cell.dimension], homes, fingerprint)
        prefix = f"configurations.{cell.dimension}."
        inherited = {k.removeprefix(prefix): why for k, why in of_dimensions.items() if k.startswith(prefix)}
        configurations[cell.name] = configuration
        reasons |= {f"configurations.{cell.name}.{field}": why for field, why in (inherited | of_cell).items()}
    return PlannedDecisions(decisions.plan.changed(configurations=configurations), reasons)


def shared_cases(configurations: Mapping[str, Configuration]) -> dict[str, str]:
    """By configuration the one whose preprocessed cases it reads: the first of the same spacing, maybe itself.

    Preprocessing depends on a configuration by its spacing alone.
    """
    first: dict[tuple[float | None, ...], str] = {}
    return {name: first.setdefault(c.spacing, name) for name, c in configurations.items()}


def _configuration(
    cell: Cell, of_dimension: Configuration, homes: Mapping[str, str], fingerprint: Fingerprint
) -> tuple[Configuration, dict[str, str]]:
    """A cell's configuration and the reasons for what it has of its own."""
    places = [fingerprint.channels.index(name) for name in cell.sequences]
    has = [[case.present[i] for i in places] for case in fingerprint.cases]
    part, complete = sum(map(any, has)), sum(map(all, has))
    if not part:
        raise PlanError(f"{cell.name}: no case has {' or '.join(cell.sequences)}; leave this cell out")
    counted = f"{complete} of the {part} cases that take part have all of {', '.join(cell.sequences)}"
    changes: dict[str, object] = {"sequences": cell.sequences, "preprocessed_as": homes[cell.dimension]}
    reasons = {
        "sequences": f"a cell of the study; {part} of {len(has)} cases have at least one of them",
    }
    if complete == part:
        changes |= {
            "availability_code": False,
            "training": of_dimension.training.changed(sequence_dropout=0.0),
        }
        reasons |= {"availability_code": counted, "training.sequence_dropout": counted}
    return of_dimension.changed(**changes), reasons
