"""The folds of a run: a person's own, those made before, or new ones."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from autoseg.commands.options import trained_folds
from autoseg.dataset.case import Dataset
from autoseg.dataset.fingerprint import Fingerprint
from autoseg.errors import RunFolderError
from autoseg.plan.defaults import DEFAULT_FOLDS
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import Split, cases_of, read_splits, write_splits


def keep_or_make_folds(
    run: RunFolder, dataset: Dataset, fingerprint: Fingerprint, seed: int, console: Console, folds: int | None
) -> tuple[Split, ...]:
    """The folds in `splits.json`, a user's own or ours; made where there are none.

    Made anew too where they are ours, the data set has other cases now, and nothing was trained with them.

    Args:
        run: the RUN folder.
        dataset: whose cases they divide.
        fingerprint: of it, by which new ones are stratified.
        seed: of new ones.
        console: for messages.
        folds: how many; None = those in `splits.json`, or else five.

    Raises:
        PlanError: a user's own do not fit the data set.
        RunFolderError: there are so many, and others are asked for.
    """
    from planner.splits import check_splits, make_splits, number_of_folds

    there = read_splits(run.splits) if run.splits.exists() else None
    if there is not None and not _made_for_other_cases(run, there, dataset):
        check_splits(there, dataset)
        if folds is not None and number_of_folds(dataset, folds).value != len(there):
            raise RunFolderError(
                f"{run.splits}: has {len(there)} folds, not {folds}; delete it to have folds made anew, "
                "or use a new RUN folder"
            )
        used = set(cases_of(there))
        if unused := [case.name for case in dataset.cases if case.name not in used]:
            console.print(
                f"{run.splits} names no fold for {', '.join(unused)}: not used; delete it to have folds made anew",
                style="yellow",
                markup=False,
                highlight=False,
            )
        return there
    made = make_splits(dataset, fingerprint, folds=folds or DEFAULT_FOLDS, seed=seed)
    # first: folds that are there without it are a person's own
    write_splits(run.made_splits, made)
    write_splits(run.splits, made)
    console.print(f"{len(made)} folds, in {run.splits}", highlight=False)
    return made


def _made_for_other_cases(run: RunFolder, splits: Sequence[Split], dataset: Dataset) -> bool:
    """Whether folds are autoseg's own, for cases that have changed since, and no model was trained with them."""
    if not run.made_splits.exists() or trained_folds(run):
        return False
    return splits == read_splits(run.made_splits) and set(cases_of(splits)) != {case.name for case in dataset.cases}
