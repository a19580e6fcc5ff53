"""Which cases take part in a configuration: those that have at least one of the sequences it sees.

A case without any has nothing to be learned from or judged by; it is left out of training and
validation alike, and the number of cases stands behind each figure.
"""

from __future__ import annotations

from collections.abc import Sequence

from autoseg.plan.network_input import InputLayout
from autoseg.plan.plan import Plan
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.preprocessed_case import read_record
from autoseg.run_folder.splits import Split, cases_of


def splits_of(run: RunFolder, plan: Plan, name: str, splits: Sequence[Split]) -> tuple[Split, ...]:
    """The folds of a configuration: those of the run, less the cases that take no part in it.

    Args:
        run: holds the preprocessed cases, which know their sequences.
        plan: of the run.
        name: of the configuration.
        splits: folds of the run, as `splits.json` has them.

    Raises:
        PlanError: there is no such configuration.
        RunFolderError: it does not see every sequence, and a case is not preprocessed.
    """
    configuration = plan.configuration(name)
    # every case has a sequence of the data set
    if configuration.sequences is None:
        return tuple(splits)
    layout, source = InputLayout.of(plan, configuration), plan.preprocessed_as(name)
    taking_part = {
        case for case in cases_of(splits) if any(layout.available(read_record(run.case(source, case)).present))
    }
    return tuple(
        Split(
            train=tuple(case for case in split.train if case in taking_part),
            val=tuple(case for case in split.val if case in taking_part),
        )
        for split in splits
    )
