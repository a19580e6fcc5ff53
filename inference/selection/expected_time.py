"""Estimates how long a selection will take, from one case that is predicted already."""

from __future__ import annotations

from autoseg.machine import clock
from autoseg.machine.map_cases import expected_seconds
from autoseg.plan.plan import read_plan
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.selection import rules_by_class
from autoseg.run_folder.splits import cases_of, read_splits
from inference.selection.candidate_scores import candidates_of, count_case
from inference.selection.comparable import compared_cases
from inference.selection.judge import judge_case
from inference.selection.post_processing_outcomes import outcomes_of_case

PASSES = 3
"""Number of times that a selection goes over all cases: comparing, judging, trying post-processing."""


def expected_selection_seconds(
    run: RunFolder, configuration: str, configurations: int, threads: int | None = None
) -> float:
    """Expected seconds of a selection once every fold is finished; one predicted case is timed.

    Args:
        run: RUN folder with at least one finished fold.
        configuration: name of a configuration with a finished fold.
        configurations: number of configurations that will be compared.
        threads: threads that all processes together may use; None = as many as there are cores.

    Raises:
        RunFolderError, ImageError, DatasetError: the case cannot be read.
    """
    plan, splits = read_plan(run.plan), read_splits(run.splits)
    compared = compared_cases(run, plan, splits, [configuration])
    one, rules = (configuration,), rules_by_class((), plan.labels)
    files = compared.files[len(compared.files) // 2]
    # what is loaded at the first call does not count
    count_case(files, [one], plan.labels)
    start = clock.now()
    count_case(files, [one], plan.labels)
    counted = clock.now()
    outcomes_of_case(files, one, plan.labels)
    judge_case((files, rules), one, plan.labels, plan.lesions)
    judged = clock.now()
    candidates = len(candidates_of([str(i) for i in range(configurations)]))
    # the choice is judged with and without post-processing
    a_case = (counted - start) * candidates + (judged - counted) * 1.3
    cases = len(cases_of(splits))
    workers = compared.workers(plan.labels.outputs, threads, cases)
    return expected_seconds(a_case, cases, workers, PASSES)
