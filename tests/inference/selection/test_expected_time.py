"""The time that a selection is expected to take."""

from autoseg.machine import clock
from inference.selection import expected_time
from inference.selection.expected_time import expected_selection_seconds
from tests.inference.selectable import CASES, make_selectable


def test_it_is_that_of_one_case_for_all_cases(tmp_path, monkeypatch) -> None:
    run = make_selectable(tmp_path / "run")
    now = [0.0]

    def takes(seconds: float):
        def step(*_: object) -> None:
            now[0] += seconds

        return step

    monkeypatch.setattr(clock, "now", lambda: now[0])
    monkeypatch.setattr(expected_time, "count_case", takes(1.0))
    monkeypatch.setattr(expected_time, "outcomes_of_case", takes(4.0))
    monkeypatch.setattr(expected_time, "judge_case", takes(6.0))
    one = expected_selection_seconds(run, "2d", 1, threads=1)
    assert one == len(CASES) * (1 + 13)
    # two configurations have three candidates: each alone, and the pair
    assert expected_selection_seconds(run, "2d", 2, threads=1) == len(CASES) * (3 + 13)
