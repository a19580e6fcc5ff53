"""Finds the configurations that can be compared, and the cases that all of them predicted out of fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from autoseg.errors import RunFolderError
from autoseg.image.annotated_classes import known_outputs
from autoseg.image.image import read_geometry
from autoseg.image.labels import Labels
from autoseg.machine.cores import available_cores
from autoseg.machine.map_cases import workers_within_memory
from autoseg.plan.plan import Plan
from autoseg.run_folder.folds import Folds, read_folds
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.preprocessed_case import read_record
from autoseg.run_folder.splits import Split
from autoseg.whole_image.out_of_fold import array_file
from inference.selection.candidate_scores import CaseFiles

# without the 8 bit probabilities, which `ComparedCases.workers` adds
_BYTES_PER_VOXEL = 40
_BYTES_OF_LIBRARIES = 700_000_000


@dataclass(frozen=True)
class ComparedCases:
    """The configurations and validation cases that a selection compares.

    Args:
        configurations: names of the compared configurations.
        files: reference and out-of-fold probabilities of each case.
        folds: (case,) index of the fold that each case is validated in.
        notes: one sentence for each configuration or group of cases that was left out.
    """

    configurations: tuple[str, ...]
    files: tuple[CaseFiles, ...]
    folds: NDArray[np.int64]
    notes: tuple[str, ...]

    def looked_for(self, labels: Labels) -> NDArray[np.bool_]:
        """Whether each foreground class or region was looked for in each case, (case, class)."""
        return np.array([known_outputs(labels, files.annotated) for files in self.files], dtype=bool)

    @property
    def several_folds(self) -> bool:
        """Whether the cases lie in several folds, so that a rule can be fitted to some and validated on another."""
        return len(np.unique(self.folds)) > 1

    def workers(self, classes: int, threads: int | None = None, cases: int | None = None) -> int:
        """Number of processes over cases that the threads (None = all cores) and the free memory allow.

        Args:
            classes: number of classes, background included.
            threads: threads that all processes together may use; None = as many as there are cores.
            cases: number of cases like these; None = these.
        """
        voxels = max(prod(read_geometry(files.reference)[0].shape) for files in self.files)
        per_voxel = _BYTES_PER_VOXEL + len(self.configurations) * classes
        at_most = min(threads or available_cores(), cases or len(self.files))
        return workers_within_memory(_BYTES_OF_LIBRARIES + per_voxel * voxels, at_most)


def compared_cases(
    run: RunFolder, plan: Plan, splits: Sequence[Split], configurations: Sequence[str] | None
) -> ComparedCases:
    """Find the cases that every configuration has predicted out of fold.

    Args:
        run: RUN folder that holds the trained folds and their out-of-fold probabilities.
        plan: plan of the run.
        splits: folds of the run, as in `splits.json`.
        configurations: names of the configurations to compare; None = all that are trained.

    Raises:
        RunFolderError: nothing is trained, no case is common to all configurations, probabilities are missing, or a
            fold was trained with another plan or other splits; or a case is not preprocessed.
        PlanError: a configuration is not in the plan.
    """
    trained = trained_configurations(run, plan, len(splits))
    names = tuple(dict.fromkeys(configurations)) if configurations else trained
    folds = [read_folds(run, plan, name, splits) for name in names]
    if not names:
        raise RunFolderError(f"{run.path}: no fold is trained to its end; `autoseg train {run.path}` does it")
    predicted = [_predicted_cases(run, of_configuration) for of_configuration in folds]
    common = {case: fold for case, fold in predicted[0].items() if all(case in other for other in predicted)}
    if not common:
        raise RunFolderError(
            f"{run.path}: no case was predicted out of fold by each of {', '.join(names)}; train the same folds of "
            "each, or name configurations that share cases with --config"
        )
    # every configuration that was trained with a case keeps the same reference, so the first one's serves
    folders = [run.case(plan.preprocessed_as(names[0]), case) for case in common]
    probabilities = {name: run.probabilities(name) for name in names}
    files = tuple(
        CaseFiles(folder.name, folder / "reference.nii.gz", probabilities, read_record(folder).annotated)
        for folder in folders
    )
    notes = [] if configurations else _left_out(run, plan, names, len(splits))
    everywhere = {case for other in predicted for case in other}
    if len(common) < len(everywhere):
        left_out = len(everywhere) - len(common)
        notes.append(f"{left_out} of {len(everywhere)} cases are left out: some configuration did not predict them")
    return ComparedCases(names, files, np.array(list(common.values())), tuple(notes))


def trained_configurations(run: RunFolder, plan: Plan, folds: int) -> tuple[str, ...]:
    """Names of the configurations with every fold finished; if there are none, of those with any finished fold."""
    finished = _finished_folds(run, plan, folds)
    whole = tuple(name for name, count in finished.items() if count == folds)
    return whole or tuple(name for name, count in finished.items() if count)


def _finished_folds(run: RunFolder, plan: Plan, folds: int) -> dict[str, int]:
    return {name: sum(run.is_finished(name, fold) for fold in range(folds)) for name in plan.configurations}


def _predicted_cases(run: RunFolder, folds: Folds) -> dict[str, int]:
    """Fold of each case that a finished fold of the configuration predicted, by case name.

    Raises:
        RunFolderError: a case was predicted, but its probabilities are missing.
    """
    fold_of, name = {}, folds.configuration
    for fold in folds.finished:
        for case in folds.splits[fold].val:
            if array_file(run.probabilities(name), case).exists():
                fold_of[case] = fold
            elif (run.cross_validation(name) / f"{case}.nii.gz").exists():
                raise RunFolderError(
                    f"{array_file(run.probabilities(name), case)}: is missing; delete {run.fold(name, fold)}, and "
                    f"`autoseg train {run.path} --config {name} --fold {fold}` makes it again"
                )
    return fold_of


def _left_out(run: RunFolder, plan: Plan, names: Sequence[str], folds: int) -> list[str]:
    """A sentence for each configuration that is left out although some of its folds are finished."""
    finished = _finished_folds(run, plan, folds)
    return [
        f"{name} takes no part: {count} of {folds} folds are finished"
        for name, count in finished.items()
        if count and name not in names
    ]
