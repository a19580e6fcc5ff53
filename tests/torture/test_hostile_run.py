"""A part of the enumeration of `python -m tests.torture.hostile_run`: a quarter of the links, and some of the rest."""

import pytest

from tests.torture.hostile_run import outcomes
from tests.torture.hostile_template import make_template

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return make_template(tmp_path_factory.mktemp("finished"))


@pytest.mark.parametrize(("kinds", "every"), [(("links",), 4), (("fields", "swaps", "arrays", "others"), 150)])
def test_nothing_outside_is_met(template, tmp_path, kinds, every):
    found = [outcome for _, outcome in outcomes(tmp_path, template, kinds, every)]
    assert len(found) >= 5
    assert [(outcome.what, outcome.ending) for outcome in found if outcome.verdict == "fault"] == []
