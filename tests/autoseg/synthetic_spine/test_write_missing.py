"""Sequences that are missing: from how many cases, and that nothing else changes."""

import numpy as np
import pytest

from autoseg.errors import InputError
from autoseg.synthetic_spine import make_phantom
from tests.autoseg.synthetic_spine.phantom_files import SEQUENCES, table

TINY = (4, 32, 32)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5])
def test_each_sequence_is_missing_from_the_share_of_cases_and_none_is_without_images(tmp_path, share):
    folder = make_phantom(tmp_path / "spine", cases=20, seed=2, missing=share, shape=TINY, workers=1)
    present = np.array([[bool(row[s]) for s in SEQUENCES] for row in table(folder)])
    np.testing.assert_array_equal((~present).sum(axis=0), round(share * 20))
    assert present.any(axis=1).all()
    # one is missing regardless of the other: two are missing from some cases, and some are complete
    assert (present.sum(axis=1) == 1).any() == (share > 0)
    assert present.all(axis=1).any() or share == 0.5


def test_what_is_missing_does_not_change_what_is_not(tmp_path):
    complete, gaps = (
        make_phantom(tmp_path / str(share), cases=8, seed=4, missing=share, shape=TINY, workers=1)
        for share in (0.0, 0.4)
    )
    kept = [(a, b) for a, b in zip(table(complete), table(gaps), strict=True) if b["T1"]]
    assert 0 < len(kept) < 8
    for a, b in kept:
        files = [a[column] for column in (*SEQUENCES, "label") if b[column]]
        assert all((complete / file).read_bytes() == (gaps / file).read_bytes() for file in files)


@pytest.mark.parametrize("wrong", [{"missing": 0.6}, {"missing": -0.1}, {"kind": "large"}], ids=str)
def test_a_share_or_kind_that_there_is_not_is_named(tmp_path, wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        make_phantom(tmp_path / "new", **wrong)
    assert not (tmp_path / "new").exists()
