"""One real run that every end-to-end test looks at: hippocampus40 in two folds."""

import json
import os
import random
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest

import autoseg
from autoseg.machine.cores import available_cores
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import Split, write_splits
from autoseg.run_folder.time_spent import read_time_spent

BUDGET = "7m"
"""For two folds of a minute and a half each, and all that goes before and after."""


@dataclass(frozen=True)
class MeasuredRun:
    """A run, and what it took.

    Args:
        run: its RUN folder.
        trained_after: seconds of wall time until all folds were trained.
        work: processor seconds of the whole run, of all processes. On a machine of its own it has more than one core,
            so that this is no less than the wall time; beside other programs it is less.
    """

    run: RunFolder
    trained_after: float
    work: float


def two_folds(cases: list[str]) -> tuple[Split, ...]:
    """Halves of the cases, drawn from a seed; each is judged by the model of the other."""
    shuffled = random.Random(0).sample(sorted(cases), len(cases))
    one, other = tuple(shuffled[::2]), tuple(shuffled[1::2])
    return Split(train=one, val=other), Split(train=other, val=one)


@pytest.fixture(scope="session")
def dataset(test_data) -> Path:
    folder = test_data / "hippocampus40"
    if not folder.is_dir():
        pytest.skip(f"hippocampus40 is not in {test_data}")
    return folder


@pytest.fixture(scope="session")
def run(measured_run) -> RunFolder:
    return measured_run.run


@pytest.fixture(scope="session")
def measured_run(dataset, tmp_path_factory) -> MeasuredRun:
    run = RunFolder(tmp_path_factory.mktemp("hippocampus") / "run")
    declared = json.loads((dataset / "dataset.json").read_text(encoding="utf-8"))
    cases = [Path(case["image"]).name.removesuffix(".nii.gz") for case in declared["training"]]
    write_splits(run.splits, two_folds(cases))
    command, trained_after = import_module("autoseg.commands.run"), list[float]()
    select_at_end = command.select_at_end

    def select(*arguments, **options) -> None:
        trained_after.append(read_time_spent(run).total)
        select_at_end(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "select_at_end", select)
        # as many threads as other programs leave, as for a user; other tests have one
        patch.setattr("autoseg.machine.threads.default_threads", available_cores)
        before = processor_seconds()
        autoseg.run(dataset, run.path, time_budget=BUDGET, device="cpu")
    return MeasuredRun(run, *trained_after, processor_seconds() - before)


def processor_seconds() -> float:
    """Processor time of this process, and of those that it started and that have ended."""
    return sum(os.times()[:4])
