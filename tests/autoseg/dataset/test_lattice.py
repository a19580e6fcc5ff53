"""Label maps that are cropped, on the grid of their image."""

from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest

from autoseg.dataset.lattice import on_one_lattice, padded_onto, padded_onto_one
from autoseg.errors import ImageError
from autoseg.image.geometry import Geometry, Reorientation
from autoseg.image.image import Image
from tests.autoseg.image import named

GRID = named.grid()
WHOLE = np.zeros(GRID.shape, np.int16)
WHOLE[2:5, 3:7, 1:6] = np.random.default_rng(0).integers(0, 4, (3, 4, 5))
BOX = (2, 3, 1), (5, 7, 6)


def crop(lower=BOX[0], upper=BOX[1], geometry: Geometry = GRID) -> Image:
    cut = WHOLE[tuple(slice(max(a, 0), b) for a, b in zip(lower, upper, strict=True))]
    before = [(max(-a, 0), max(b - n, 0)) for a, b, n in zip(lower, upper, WHOLE.shape, strict=True)]
    return Image(np.pad(cut, before)[None], named.cropped(geometry, lower, upper), cropped=True)


@pytest.mark.parametrize("permutation", list(permutations(range(3))), ids=str)
def test_a_crop_in_any_axis_order_gets_the_grid_of_its_image(permutation: tuple[int, int, int]) -> None:
    for flips in product((False, True), repeat=3):
        turn, label = Reorientation(permutation, flips), crop()
        turned = Image(turn.apply(label.array), turn.apply_to_geometry(label.geometry), cropped=True)
        placed, off = padded_onto(turned, GRID)
        assert placed.geometry == GRID and off < 1e-9
        np.testing.assert_array_equal(placed.array[0], WHOLE)


def test_a_label_may_reach_beyond_its_image_with_background_alone() -> None:
    placed, _ = padded_onto(crop((-2, 0, -1), (9, 8, 9)), GRID)
    np.testing.assert_array_equal(placed.array[0], WHOLE)
    smaller = named.cropped(GRID, (0, 0, 2), GRID.shape)
    lost = np.count_nonzero(WHOLE[:, :, :2])
    with pytest.raises(ImageError, match=rf"^has {lost} voxels of its classes beyond the image"):
        padded_onto(crop(), smaller)
    elsewhere = named.cropped(GRID, (900, 0, 0), (905, 8, 9))
    with pytest.raises(ImageError, match=rf"^has {np.count_nonzero(WHOLE)} voxels of its classes beyond"):
        padded_onto(crop(), elsewhere)


def shifted(voxels: float) -> Geometry:
    """The grid, moved along x by a part of a voxel."""
    place = np.array(GRID.origin) + voxels * GRID.spacing[2] * np.array(GRID.direction[2])
    return Geometry(GRID.shape, GRID.spacing, tuple(place), GRID.direction)


def test_a_twentieth_of_a_voxel_is_the_limit() -> None:
    placed, off = padded_onto(crop(geometry=shifted(0.049)), GRID)
    assert off == pytest.approx(0.049) and np.array_equal(placed.array[0], WHOLE)
    with pytest.raises(ImageError, match=r"its voxels lie up to 0\.051 voxels beside"):
        padded_onto(crop(geometry=shifted(0.051)), GRID)
    finer = Geometry(GRID.shape, (1.5, 0.7, 1.25), GRID.origin, GRID.direction)
    with pytest.raises(ImageError, match=r"voxels of 1\.5 × 1\.25 × 0\.7 against 3 × 1\.25 × 0\.7 mm .*as reference"):
        padded_onto(crop(geometry=finer), GRID)
    turned = Geometry(GRID.shape, GRID.spacing, GRID.origin, ((0, 0.28, 0.96), GRID.direction[1], (0, -0.96, 0.28)))
    with pytest.raises(ImageError, match="its axes point in other directions"):
        padded_onto(crop(geometry=turned), GRID)


def test_what_was_told_of_a_label_map_is_kept() -> None:
    told = replace(crop(), notes=("a note",), rounded="rounded", left_out="left out", others=(GRID,))
    placed, _ = padded_onto_one(told, GRID, ())
    assert (placed.notes, placed.rounded, placed.left_out) == (("a note",), "rounded", "left out")
    assert not placed.cropped and placed.others == ()


def test_how_far_two_label_maps_lie_apart_is_given() -> None:
    plain, beside = Image(WHOLE[None], GRID), crop(geometry=shifted(0.03))
    for first, second in ((plain, beside), (beside, plain), (crop(), beside)):
        assert on_one_lattice(first, second)[2] == pytest.approx(0.03)


def test_two_crops_get_one_grid_that_holds_both() -> None:
    first, second = crop((2, 3, 1), (5, 5, 6)), crop((1, 4, 0), (5, 7, 5))
    a, b, off = on_one_lattice(first, second)
    assert off < 1e-9
    assert a.geometry == b.geometry
    for label, lower, upper in ((a, (2, 3, 1), (5, 5, 6)), (b, (1, 4, 0), (5, 7, 5))):
        kept = np.zeros_like(WHOLE)
        box = tuple(slice(p, q) for p, q in zip(lower, upper, strict=True))
        kept[box] = WHOLE[box]
        np.testing.assert_array_equal(
            padded_onto(Image(label.array, label.geometry, cropped=True), GRID)[0].array[0], kept
        )
    plain = Image(WHOLE[None], GRID)
    assert on_one_lattice(plain, plain) == (plain, plain, 0.0)
    assert all(np.array_equal(one.array, WHOLE[None]) for one in on_one_lattice(crop(), plain)[:2])
    far = crop(geometry=Geometry(GRID.shape, GRID.spacing, (3e8, 0, 0), GRID.direction))
    with pytest.raises(ImageError, match="are both of one image"):
        on_one_lattice(crop(), far)


def test_a_crop_that_fits_an_image_at_two_places_is_refused() -> None:
    x, y, z = GRID.origin
    along = np.array(GRID.direction[2]) * GRID.spacing[2]
    moved = Geometry(GRID.shape, GRID.spacing, (x + along[0], y + along[1], z + along[2]), GRID.direction)
    placed, _ = padded_onto_one(crop(), GRID, ())
    np.testing.assert_array_equal(placed.array[0], WHOLE)
    with pytest.raises(ImageError, match="fits its image at two places"):
        padded_onto_one(crop(), GRID, (moved,))
