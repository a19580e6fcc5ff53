"""A part of each kind of rough treatment; `python -m tests.torture` tries them in full."""

import itertools
from pathlib import Path

import pytest

from tests.torture import bytes as turned_bytes
from tests.torture import kills, plan_edits
from tests.torture.outcome import Torture

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Folder in which the data set and the finished RUN are made once."""
    return tmp_path_factory.mktemp("torture")


@pytest.mark.parametrize(
    ("attempts", "seed", "count"),
    [(kills.attempts, 0, 6), (turned_bytes.attempts, 0, 10), (plan_edits.attempts, 6, 16)],
    ids=["kills", "bytes", "plan_edits"],
)
def test_rough_treatment_is_noticed_or_harmless(folder: Path, attempts: Torture, seed: int, count: int) -> None:
    outcomes = list(itertools.islice(attempts(folder, seed), count))
    assert len(outcomes) == count
    faults = [f"{outcome.what}\n    {outcome.ending}" for outcome in outcomes if outcome.verdict == "fault"]
    assert not faults, "\n".join(faults)
    assert any(outcome.verdict == "right" for outcome in outcomes)
