"""One real run that every end-to-end test looks at: hippocampus40 in two folds."""

import json
import random
from pathlib import Path

import pytest

import autoseg
from autoseg.machine.cores import available_cores
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import Split, write_splits

BUDGET = "7m"
"""For two folds of a minute and a half each, and all that goes before and after."""


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
def run(dataset, tmp_path_factory) -> RunFolder:
    run = RunFolder(tmp_path_factory.mktemp("hippocampus") / "run")
    declared = json.loads((dataset / "dataset.json").read_text(encoding="utf-8"))
    cases = [Path(case["image"]).name.removesuffix(".nii.gz") for case in declared["training"]]
    write_splits(run.splits, two_folds(cases))
    with pytest.MonkeyPatch.context() as patch:
        # as many threads as other programs leave, as for a user; other tests have one
        patch.setattr("autoseg.machine.threads.default_threads", available_cores)
        autoseg.run(dataset, run.path, time_budget=BUDGET, device="cpu")
    return run
