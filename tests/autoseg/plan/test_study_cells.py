import pytest

from autoseg.errors import InputError
from autoseg.plan.study_cells import Grid, cells_in
from tests.example_plan import example_channel, example_plan

CHANNELS = ("T1", "T2", "STIR")


def test_the_grid_is_every_set_in_every_dimension():
    cells = Grid(("T1", "STIR+T2", "all"), ("2d", "2.5d")).cells(CHANNELS)
    assert [cell.name for cell in cells] == ["T1.2d", "T1.2.5d", "STIR+T2.2d", "STIR+T2.2.5d", "all.2d", "all.2.5d"]
    assert [cell.sequences for cell in cells[::2]] == [("T1",), ("T2", "STIR"), CHANNELS]


def test_without_sets_each_sequence_alone_and_all():
    assert [cell.label for cell in Grid(None, ("3d",)).cells(CHANNELS)] == ["T1", "T2", "STIR", "all"]
    assert [cell.label for cell in Grid(None, ("3d",)).cells(["CT"])] == ["CT"], "one sequence is all of them"


def test_the_same_set_twice_is_one_cell():
    cells = Grid(("T1+T2", "T2+T1", "T1+T2+STIR", "all"), ("2d", "2d")).cells(CHANNELS)
    assert [cell.name for cell in cells] == ["T1+T2.2d", "T1+T2+STIR.2d"]


def test_a_channel_may_have_a_plus_or_a_space_in_its_name():
    cells = Grid(("T1+Gd", "T2 fat/sat"), ("3d",)).cells(["T1", "T1+Gd", "T2 fat/sat"])
    assert [(cell.name, cell.sequences) for cell in cells] == [
        ("T1+Gd.3d", ("T1+Gd",)),
        ("T2_fat_sat.3d", ("T2 fat/sat",)),
    ]


@pytest.mark.parametrize(
    ("sequences", "dimensions", "named"),
    [
        (("T1+FLAIR",), ("2d",), "FLAIR.*T1, T2, STIR"),
        (("T1+",), ("2d",), "T1, T2, STIR"),
        ((), ("2d",), "--sequences"),
        (("T1",), (), "--dimensions"),
        (("T1",), ("4d",), "4d"),
    ],
)
def test_what_cannot_be_is_refused_by_name(sequences, dimensions, named):
    with pytest.raises(InputError, match=named):
        Grid(sequences, dimensions).cells(CHANNELS)


def test_two_sets_of_one_folder_name_are_refused():
    with pytest.raises(InputError, match="one name"):
        Grid(("T2 a", "T2/a"), ("2d",)).cells(["T2 a", "T2/a"])


def test_cells_are_found_again_in_the_plan():
    plan = example_plan(channels=(example_channel("T1"), example_channel("STIR")))
    cells = Grid(("T1", "all"), ("2d", "2.5d", "3d")).cells(("T1", "STIR"))
    of_run = plan.configurations["3d"]
    added = {cell.name: of_run.changed(sequences=cell.sequences) for cell in cells}
    study = plan.changed(configurations=plan.configurations | added)
    assert cells_in(study) == cells
    assert cells_in(plan) == ()


def test_colours_and_images_of_one_slice_have_a_default_of_their_own() -> None:
    grid = Grid(None, None)
    assert [cell.name for cell in grid.cells(("R", "G", "B"), slices_alone=True)] == ["all.2d"]
    assert [cell.dimension for cell in grid.cells(("CT",))] == ["2d", "2.5d", "3d"]
