"""A pace that is not the planned one is raised where the plan can be made again, on a clock that is turned by hand."""

import pytest

from autoseg.errors import OtherPace
from autoseg.machine.threads import Threads
from tests.trainer.turned_clock import PLANNED, train
from tests.words import on_one_line


def test_another_pace_is_raised_only_where_it_can_be_planned_for(tiny_run, hands, capfd) -> None:
    hands.seconds_a_step = lambda now: 0.3
    run = tiny_run(**PLANNED)
    with pytest.raises(OtherPace) as found:
        train(run, at_other_pace="raise")
    assert (found.value.planned, found.value.real) == pytest.approx((1.0, 0.3))
    assert train(run).seconds_training == pytest.approx(60, rel=0.1), "it can be gone on with"
    told = tiny_run("told", **PLANNED)
    train(told, at_other_pace="tell")
    assert "planning again" in on_one_line(capfd.readouterr().err)
    near = tiny_run("near", **PLANNED)
    hands.seconds_a_step = lambda now: 0.75
    train(near, at_other_pace="raise")


@pytest.mark.parametrize("seconds", [2.0, 4.0, 8.0])
def test_a_much_slower_machine_is_raised_too(tiny_run, hands, seconds: float) -> None:
    hands.seconds_a_step = lambda now: seconds
    with pytest.raises(OtherPace) as found:
        train(tiny_run(**PLANNED), at_other_pace="raise")
    assert found.value.real == pytest.approx(seconds)


def test_a_slow_pace_beside_other_programs_is_not_the_machines(tiny_run, hands, monkeypatch) -> None:
    monkeypatch.setattr(Threads, "leaves_cores", property(lambda self: True))
    hands.seconds_a_step = lambda now: 2.0
    train(tiny_run(**PLANNED), at_other_pace="raise")
    hands.seconds_a_step = lambda now: 0.3
    with pytest.raises(OtherPace):
        train(tiny_run("quick", **PLANNED), at_other_pace="raise")
