"""The cases that take part in a configuration: those with at least one of the sequences that its network sees.

A case without any of them gives the network no input. It is left out of training and validation alike, and
reports give the number of cases with each figure.
"""

from __future__ import annotations

from collections.abc import Sequence

from autoseg.plan.network_input import InputLayout
from autoseg.plan.plan import Plan
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.preprocessed_case import read_record
from autoseg.run_folder.splits import Split, cases_of


def splits_of_configuration(run: RunFolder, plan: Plan, name: str, splits: Sequence[Split]) -> tuple[Split, ...]:
    """Return the folds of the run without the cases that take no part in a configuration.

    Args:
        run: RUN folder with the preprocessed cases; their records tell which sequences a case has.
        plan: plan of the run.
        name: name of the configuration.
        splits: folds of the run, as `splits.json` has them.

    Raises:
        PlanError: the plan has no such configuration.
        RunFolderError: the configuration sees only some sequences, and a case is not preprocessed.
    """
    configuration = plan.configuration(name)
    # every case has at least one sequence of the data set
    if configuration.sequences is None:
        return tuple(splits)
    layout, source = InputLayout.of(plan, configuration), plan.preprocessed_as(name)
    taking_part = {
        case for case in cases_of(splits) if any(layout.available(read_record(run.case(source, case)).present))
    }
    return tuple(
        split.changed(
            train=tuple(case for case in split.train if case in taking_part),
            val=tuple(case for case in split.val if case in taking_part),
        )
        for split in splits
    )
