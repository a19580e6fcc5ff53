"""Decides the folds of a run: a person's own `splits.json`, the folds made before, or new ones."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from autoseg.commands.guards import trained_folds
from autoseg.commands.messages import say_notes_on_classes, say_notes_on_splits
from autoseg.dataset.case import Dataset
from autoseg.dataset.fingerprint import Fingerprint
from autoseg.errors import RunFolderError
from autoseg.plan.defaults import DEFAULT_FOLDS
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import Split, cases_of, read_splits, write_splits


def keep_or_make_folds(
    run: RunFolder, dataset: Dataset, fingerprint: Fingerprint, seed: int, console: Console, folds: int | None
) -> tuple[Split, ...]:
    """Return the folds in `splits.json`; make and write new ones where there are none.

    Folds that autoseg made itself are also made anew if the data set now has other cases and no model was
    trained with them.

    Args:
        run: RUN folder that holds `splits.json`.
        dataset: data set whose cases the folds divide.
        fingerprint: fingerprint of the data set, by which new folds are stratified.
        seed: random seed of new folds.
        console: console for messages to the user.
        folds: number of folds; None = as many as `splits.json` has, or else five.

    Raises:
        PlanError: the existing folds do not fit the data set.
        RunFolderError: `splits.json` has another number of folds than `folds`.
    """
    from planner.splits import check_splits, make_splits

    there = read_splits(run.splits) if run.splits.exists() else None
    if there is not None and not _made_for_other_cases(run, there, dataset):
        check_splits(there, dataset)
        refuse_other_number(run, there, dataset, folds)
        say_notes_on_splits(console, run, there, dataset)
        say_notes_on_classes(console, there, dataset)
        return there
    made = make_splits(dataset, fingerprint, folds=folds or DEFAULT_FOLDS, seed=seed)
    # written first: a splits.json without this copy is taken for a person's own
    write_splits(run.made_splits, made)
    write_splits(run.splits, made)
    console.print(f"{len(made)} folds, in {run.splits}")
    say_notes_on_classes(console, made, dataset)
    return made


def refuse_other_number(run: RunFolder, there: Sequence[Split], dataset: Dataset, folds: int | None) -> None:
    """Refuse another number of folds than `splits.json` has.

    Args:
        run: RUN folder that holds `splits.json`.
        there: the folds that `splits.json` has, with the cases of each.
        dataset: data set whose cases the folds divide.
        folds: number of folds that is asked for; None = any.

    Raises:
        RunFolderError: the numbers differ.
    """
    from planner.splits import number_of_folds

    if folds is not None and number_of_folds(dataset, folds).value != len(there):
        raise RunFolderError(
            f"{run.splits}: has {len(there)} folds, not {folds}; delete it to have folds made anew, "
            "or use a new RUN folder"
        )


def _made_for_other_cases(run: RunFolder, splits: Sequence[Split], dataset: Dataset) -> bool:
    """Whether autoseg made the folds, the data set has other cases now, and no model was trained with them."""
    if not run.made_splits.exists() or trained_folds(run):
        return False
    return splits == read_splits(run.made_splits) and set(cases_of(splits)) != {case.name for case in dataset.cases}
