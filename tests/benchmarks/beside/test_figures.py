"""The lines of the table: ratios by hand, and what is written where nothing was measured."""

import math
from pathlib import Path

import pytest

from benchmarks.beside.bench import Bench
from benchmarks.beside.curve import Point, dice_at, figures, keep, time_to
from benchmarks.beside.figures import Figure, Row, as_markdown, read_row, write_row


def figure(ours: tuple[float, ...], theirs: tuple[float, ...], better: str = "less") -> Figure:
    return Figure(what="time, s", dataset="a", ours=ours, theirs=theirs, better=better, goal="2×")


def test_the_ratio_is_of_medians_and_says_how_many_times_better_ours_is() -> None:
    assert figure((1, 2, 30), (4, 10, 5)).ratio == 2.5
    assert figure((20.0,), (10.0,), better="more").ratio == 2


@pytest.mark.parametrize(("ours", "theirs"), [((), (1.0,)), ((1.0,), ())])
def test_there_is_no_ratio_where_one_was_not_measured(ours: tuple[float, ...], theirs: tuple[float, ...]) -> None:
    cells = figure(ours, theirs).cells()
    assert "not measured" in cells
    assert cells[4] == ""


def test_what_is_known_of_a_time_that_was_not_measured_stands_in_its_place() -> None:
    known = figure((1.0,), ()).changed(instead="> 3 h")
    assert known.cells()[3:5] == ("> 3 h", "")
    assert figure((1.0,), (2.0,)).changed(instead="> 3 h").cells()[3] == "2"


def test_rows_that_are_missing_are_named_below_the_table() -> None:
    assert "b-row, c-row" in as_markdown([], ["b-row", "c-row"])
    assert "Not measured yet" not in as_markdown([])


def test_a_row_is_kept_and_read_as_it_was(tmp_path: Path) -> None:
    row = Row(name="r", machine="m", versions={"autoseg": "1"}, figures=(figure((1.0,), (2.0,)),))
    write_row(tmp_path / "rows" / "r.json", row)
    assert read_row(tmp_path / "rows" / "r.json") == row
    assert "| time, s | a | 1 | 2 | 2.00× | 2× |  |" in as_markdown([row])


def point(seconds: float, *dice: float) -> Point:
    cases = {str(number): value for number, value in enumerate(dice)}
    return Point(length=f"{seconds:g} s", seconds=seconds, peak_bytes=0, dice=cases, machine="m", versions={})


OURS = [point(10, 0.7, 0.8), point(30, 0.8, 0.9), point(60, 0.9, 0.9)]
THEIRS = [point(50, 0.6, 0.7), point(300, 0.8, 0.9)]


def test_time_to_a_dice_is_that_of_the_shortest_training_that_reached_it() -> None:
    found = time_to(0.85, "a", OURS, THEIRS)
    assert (found.ours, found.theirs, found.ratio) == ((30,), (300,), 10)


def test_a_dice_that_none_reached_has_no_time_and_its_best_is_said() -> None:
    found = time_to(0.88, "a", OURS, THEIRS)
    assert (found.ours, found.theirs) == ((60,), ())
    assert found.cells()[3] == "not reached"
    assert time_to(0.95, "a", OURS, THEIRS).cells()[2:4] == ("not reached", "not reached")
    assert time_to(0.85, "a", OURS, [], "> 3 h").cells()[3] == "> 3 h"
    assert time_to(0.85, "a", [], THEIRS).cells()[2] == "not measured"
    assert "nnU-Net: best 0.850" in found.note


def test_dice_is_compared_with_the_longest_of_ours_that_had_ended() -> None:
    found = dice_at(THEIRS[0], "a", OURS)
    assert math.isclose(found.ours[0], 0.85)
    assert math.isclose(found.theirs[0], 0.65)
    assert dice_at(point(5, 0.1, 0.1), "a", OURS).ours == ()


def test_trainings_are_compared_on_one_machine_alone(tmp_path: Path) -> None:
    for machine, ours, theirs in (("fast", 10, 100), ("slow", 40, 200)):
        folder = tmp_path / "curve" / machine
        for who, length, seconds in (("autoseg", "1 min", ours), ("nnunet", "1 epochs", theirs)):
            kept = {"machine": machine, "length": length}
            keep(
                folder / f"hippocampus40_{who}_{length.replace(' ', '')}.json",
                point(seconds, 0.9, 0.9).changed(**kept),
            )
    nothing_is_measured = Bench(tmp_path, tmp_path, tmp_path, rival=None, most_epochs=0, most_minutes=0)
    every = figures(nothing_is_measured, "hippocampus40")
    assert [figure.what.removesuffix(" of nnU-Net end") for figure in every if not figure.theirs] == [
        f"Dice when {n} epochs" for n in (5, 10, 20)
    ]
    found = [figure for figure in every if "0.85" in figure.what]
    assert [(figure.ours, figure.theirs) for figure in found] == [((10,), (100,)), ((40,), (200,))]
    assert ["on fast" in found[0].note, "on slow" in found[1].note] == [True, True]
