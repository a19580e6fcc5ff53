"""Previews: which planes, as wide and high as in the patient, each class in its colour."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from autoseg.image.geometry import Geometry, to_canonical
from autoseg.image.image import Image
from autoseg.image.labels import LabelRegion, Labels
from inference.report.preview import write_preview

ORANGE, SKY_BLUE, PURPLE = (230, 159, 0), (86, 180, 233), (170, 0, 200)
LABELS = Labels(values=(0, 1, 2), names=("background", "organ", "lesion"))
# sagittal slices, 4 mm apart
STORED = Geometry((20, 80, 60), (4.0, 1.0, 1.0), (0.0, 0.0, 0.0), ((1, 0, 0), (0, 0, -1), (0, 1, 0)))
GRID = to_canonical(STORED).apply_to_geometry(STORED)


def ball(centre: tuple[int, int, int], radius_mm: float) -> np.ndarray:
    """A ball in mm, on the canonical grid."""
    places = np.stack(np.meshgrid(*map(np.arange, GRID.shape), indexing="ij"), -1)
    return np.linalg.norm((places - centre) * GRID.spacing, axis=-1) <= radius_mm


def drawn(path: Path, colour: tuple[int, int, int]) -> list[tuple[float, float]]:
    """Width and height, in pixels, of what has a colour in each third of a picture, without the names."""
    with Picture.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))[: int(0.88 * picture.height)].astype(float) / 255
    near = np.abs(pixels - np.array(colour) / 255).max(axis=-1) < 0.12
    columns = np.flatnonzero(near.any(axis=0))
    groups = np.split(columns, np.flatnonzero(np.diff(columns) > 60) + 1)
    return [(float(np.ptp(g)), float(np.ptp(np.flatnonzero(near[:, g].any(axis=1))))) for g in groups if g.size]


@pytest.mark.parametrize("with_image", [True, False])
def test_a_ball_is_round_in_every_plane(tmp_path, with_image) -> None:
    classes = np.zeros(GRID.shape, np.uint8)
    classes[ball((40, 30, 10), 18)] = 1
    noise = np.random.default_rng(0).random(STORED.shape, dtype=np.float32)
    image = Image(noise[None], STORED) if with_image else None
    write_preview(tmp_path / "a.png", "a", image, classes, GRID, LABELS, (40, 30, 10))
    sizes = drawn(tmp_path / "a.png", ORANGE)
    assert len(sizes) == 3
    for width, height in sizes:
        assert width > 50 and width / height == pytest.approx(1, abs=0.12), "voxels are 4 mm wide"


def test_the_planes_go_through_the_place_however_the_image_is_stored(tmp_path) -> None:
    classes = np.zeros(GRID.shape, np.uint8)
    classes[ball((60, 15, 4), 7)] = 2
    turned = to_canonical(STORED).undo(classes)
    place = np.argwhere(turned == 2).mean(axis=0).round().astype(int)
    write_preview(tmp_path / "a.png", "a", None, classes, GRID, LABELS, (60, 15, 4))
    write_preview(tmp_path / "b.png", "a", None, turned, STORED, LABELS, tuple(place.tolist()), stored=GRID)
    write_preview(tmp_path / "c.png", "a", None, classes, GRID, LABELS, None)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert len(drawn(tmp_path / "a.png", SKY_BLUE)) == 3 and len(drawn(tmp_path / "c.png", SKY_BLUE)) == 0, (
        "the middle is elsewhere"
    )


@pytest.mark.parametrize("reoriented", [True, False])
def test_slices_have_the_numbers_of_the_file(tmp_path, monkeypatch, reoriented) -> None:
    stored = np.zeros(STORED.shape, np.uint8)
    # the axes of the file run to the left, downwards and to the back
    stored[4, 11, 37] = 1
    grid = GRID if reoriented else STORED
    classes = to_canonical(STORED).apply(stored) if reoriented else stored
    place = tuple(int(i[0]) for i in np.nonzero(classes))
    captions = []
    monkeypatch.setattr("matplotlib.axes.Axes.set_title", lambda panel, text, **_: captions.append(text))
    write_preview(tmp_path / "a.png", "a", None, classes, grid, LABELS, place, stored=STORED)
    assert captions == ["axial, slice 12 of 80", "coronal, slice 38 of 60", "sagittal, slice 5 of 20"]


def test_of_regions_those_that_hold_a_voxel_are_named(tmp_path) -> None:
    regions = (LabelRegion(name="all", values=(1, 2), value=1), LabelRegion(name="core", values=(2,), value=2))
    classes = np.zeros(GRID.shape, np.uint8)
    classes[ball((40, 30, 10), 18)] = 2
    write_preview(tmp_path / "a.png", "a", None, classes, GRID, LABELS.changed(regions=regions), (40, 30, 10))
    assert len(drawn(tmp_path / "a.png", SKY_BLUE)) == 3


def test_a_class_has_the_colour_that_is_given(tmp_path) -> None:
    classes = np.zeros(GRID.shape, np.uint8)
    classes[ball((40, 30, 10), 18)] = 2
    write_preview(tmp_path / "a.png", "a", None, classes, GRID, LABELS, (40, 30, 10), colours=((9, 9, 9), PURPLE))
    assert len(drawn(tmp_path / "a.png", PURPLE)) == 3 and not drawn(tmp_path / "a.png", SKY_BLUE)
