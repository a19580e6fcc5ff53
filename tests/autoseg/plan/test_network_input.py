"""The network's input, channel by channel, against slices of the image it is made of."""

import numpy as np
import pytest

from autoseg.plan.configuration import Configuration
from autoseg.plan.network_input import InputLayout, NetworkInput, input_channels, seen_sequences
from autoseg.plan.plan import Plan
from tests.example_plan import example_channel, example_plan, flat_changes

SEQUENCES = ("T1", "T2", "STIR")
ABSENT = np.float32(0)


def planned(**changes: object) -> tuple[Plan, Configuration]:
    """A plan of three sequences, and its configuration with other input."""
    whole = example_plan(channels=tuple(example_channel(name) for name in SEQUENCES))
    return whole, whole.configurations["3d"].changed(**changes)


def test_plain_3d_sees_every_sequence_as_it_is() -> None:
    assert input_channels(*planned()) == tuple(NetworkInput(name, 0, "image") for name in SEQUENCES)


def test_neighbours_lie_beside_their_sequence_and_the_code_at_the_end() -> None:
    changes = flat_changes(0) | {"neighbours": 1, "sequences": ("STIR", "T1"), "availability_code": True}
    found = [(c.sequence, c.offset, c.kind) for c in input_channels(*planned(**changes))]
    assert found == [
        ("T1", -1, "image"),
        ("T1", 0, "image"),
        ("T1", 1, "image"),
        ("STIR", -1, "image"),
        ("STIR", 0, "image"),
        ("STIR", 1, "image"),
        ("T1", 0, "availability"),
        ("STIR", 0, "availability"),
    ]
    assert seen_sequences(*planned(**changes)) == ("T1", "STIR")


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("neighbours", [1, 2])
def test_a_patch_shows_each_neighbour_at_its_offset(axis: int, neighbours: int) -> None:
    layout = InputLayout.of(*planned(**flat_changes(axis), neighbours=neighbours, sequences=("T2", "STIR")))
    assert layout.places == (1, 2)
    assert layout.halo == tuple(neighbours if a == axis else 0 for a in range(3))
    shape = [6, 7, 8]
    shape[axis] = 1 + 2 * neighbours
    region = np.random.default_rng(0).standard_normal((2, *shape)).astype(np.float32)
    seen = layout.assemble(region, (True, True))
    assert seen.dtype == np.float32 and len(seen) == 2 * shape[axis]
    for sequence in range(2):
        for place in range(shape[axis]):
            expected = np.take(region[sequence], [place], axis=axis)
            np.testing.assert_array_equal(seen[sequence * shape[axis] + place], expected)


def test_what_may_not_be_seen_is_zero_and_so_is_its_code() -> None:
    layout = InputLayout.of(*planned(**flat_changes(2), neighbours=1, availability_code=True))
    region = np.ones((3, 4, 5, 3), np.float32)
    seen = layout.assemble(region, (True, False, True))
    assert seen.shape == (12, 4, 5, 1)
    assert [float(c.mean()) for c in seen] == [1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 0, 1]
    assert all(len(np.unique(c)) == 1 for c in seen)
    assert region.all(), "the region is left as it was"


def test_availability_is_that_of_the_sequences_seen() -> None:
    layout = InputLayout.of(*planned(sequences=("STIR",)))
    assert layout.available((True, True, False)) == (False,)
    assert layout.available((False, False, True)) == (True,)


def test_a_plain_layout_changes_nothing() -> None:
    image = np.random.default_rng(1).standard_normal((4, 5, 6, 7)).astype(np.float32)
    layout = InputLayout.plain(4)
    np.testing.assert_array_equal(layout.assemble(image, layout.available((True,) * 4)), image)
