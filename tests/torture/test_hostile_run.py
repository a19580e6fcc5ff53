"""A part of the enumeration of `python -m tests.torture.hostile_run`: every link, and some of the rest."""

import pytest

from tests.torture.hostile_run import outcomes

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize(("kinds", "every"), [(("links",), 4), (("fields", "swaps", "arrays", "others"), 150)])
def test_nothing_outside_is_met(tmp_path, kinds, every):
    found = [outcome for _, outcome in outcomes(tmp_path, kinds, every)]
    assert len(found) >= 5
    assert [(outcome.what, outcome.ending) for outcome in found if outcome.verdict == "fault"] == []
