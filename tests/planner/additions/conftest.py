"""The real data sets, each measured once for all tests."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from autoseg.dataset.case import Dataset
from autoseg.dataset.fingerprint import Fingerprint
from autoseg.dataset.read import read_dataset
from planner.fingerprint import measure_fingerprint


@pytest.fixture(scope="session")
def real(test_data: Path) -> Callable[[str], tuple[Dataset, Fingerprint]]:
    """Function from the name of a real data set to it and its fingerprint."""

    @cache
    def measured(name: str) -> tuple[Dataset, Fingerprint]:
        dataset = read_dataset(test_data / name)
        return dataset, measure_fingerprint(dataset, workers=1)

    return measured
