"""A part of `python -m tests.torture images`; the damaged images are the same in every run."""

from itertools import islice
from pathlib import Path

from tests.torture.images import attempts


def test_damaged_images_are_read_or_refused_by_name(tmp_path: Path) -> None:
    outcomes = list(islice(attempts(tmp_path, 0), 250))
    assert [f"{outcome.what}: {outcome.ending}" for outcome in outcomes if outcome.verdict == "fault"] == []
    # the damage is neither so light nor so heavy that one of the two is never tried
    endings = [outcome.ending == "read" for outcome in outcomes]
    assert 25 < sum(endings) < 225
