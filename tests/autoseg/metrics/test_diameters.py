"""Largest diameters, against the distances between all points of the surface."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist

import autoseg.metrics.diameters as module
from autoseg.metrics.diameters import diameters

SPACINGS = [(1.0, 1.0, 1.0), (5.0, 0.7, 0.9), (0.5, 3.0, 2.0)]


def by_all_points(mask: np.ndarray, spacing, axial: int) -> tuple[float, float]:
    """Largest distance between the centres of the faces of any two voxels, in space and in any one slice."""
    centres, mm = np.argwhere(mask) * spacing, np.diag(spacing) / 2
    largest = pdist(np.concatenate([centres + s * mm[a] for a in range(3) for s in (1, -1)])).max()
    axial_mm = 0.0
    for place in np.unique(centres[:, axial]):
        of_slice = centres[centres[:, axial] == place]
        faces = [of_slice + s * mm[a] for a in range(3) if a != axial for s in (1, -1)]
        axial_mm = max(axial_mm, pdist(np.concatenate(faces)).max())
    return largest, axial_mm


def in_the_plane(mask: np.ndarray, spacing, axial: int, flat: int) -> tuple[float, float]:
    """The same in the plane of the only slice, which has no thickness."""
    centres, mm = np.argwhere(mask) * spacing, np.diag(spacing) / 2
    faces = np.concatenate([centres + s * mm[a] for a in range(3) if a != flat for s in (1, -1)])
    axial_mm = 0.0
    for place in np.unique(centres[:, axial]):
        of_slice = centres[centres[:, axial] == place]
        of_slice = [of_slice + s * mm[a] for a in range(3) if a not in (flat, axial) for s in (1, -1)]
        axial_mm = max(axial_mm, pdist(np.concatenate(of_slice)).max())
    return pdist(faces).max(), axial_mm


def ball(radius: int) -> np.ndarray:
    grid = np.stack(np.meshgrid(*[np.arange(-radius, radius + 1)] * 3, indexing="ij"))
    return (grid**2).sum(axis=0) <= radius**2


def shapes() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {
        "one voxel": np.ones((1, 1, 1), bool),
        "line": np.ones((9, 1, 1), bool),
        "plane": np.ones((1, 20, 20), bool),
        "column of many rows": np.ones((1, 100, 1), bool),
        "diagonal": np.eye(70, 75, dtype=bool)[None],
        "ball": ball(4),
        "speckled": rng.random((7, 12, 10)) < 0.3,
        "one in each slice": np.eye(6, dtype=bool)[:, :, None] & np.ones((6, 6, 4), bool),
    }


@pytest.mark.parametrize("name", shapes())
@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("axial", [0, 1, 2])
def test_no_two_points_of_the_surface_are_farther_apart(name, spacing, axial) -> None:
    mask = shapes()[name]
    found = diameters(mask, spacing, axial)
    assert (found.largest_mm, found.axial_mm) == pytest.approx(by_all_points(mask, spacing, axial), rel=1e-9)


def test_a_row_is_as_long_as_its_voxels() -> None:
    found = diameters(np.ones((1, 1, 7), bool), (5.0, 1.0, 2.0))
    assert (found.largest_mm, found.axial_mm) == (14.0, 14.0)
    assert diameters(np.ones((1, 1, 7), bool), (5.0, 1.0, 2.0), axial=2).axial_mm == 5.0


def test_a_large_ball_is_as_wide_as_it_is_made() -> None:
    assert 101 <= diameters(ball(50), (1.0, 1.0, 1.0)).largest_mm < 102


@pytest.mark.parametrize("flat", [0, 1, 2])
@pytest.mark.parametrize("axial", [0, 1, 2])
@pytest.mark.parametrize("voxels", ["one", "row", "speckled"])
def test_the_thickness_of_an_only_slice_is_no_length(flat: int, axial: int, voxels: str) -> None:
    planes = {"one": np.ones((1, 1), bool), "row": np.ones((1, 8), bool)}
    plane = planes.get(voxels, np.random.default_rng(2).random((9, 11)) < 0.3)
    mask, spacing = np.expand_dims(plane, flat), np.insert([0.05, 0.03], flat, 1.0).tolist()
    found = diameters(mask, spacing, axial, flat)
    assert (found.largest_mm, found.axial_mm) == pytest.approx(in_the_plane(mask, spacing, axial, flat), rel=1e-9)
    assert found.largest_mm < 1.0


def test_each_small_shape_is_measured_once(monkeypatch):
    real, calls = module.diameters, []
    monkeypatch.setattr(module, "diameters", lambda *arguments: calls.append(1) or real(*arguments))
    by_shape = module.DiametersByShape((3.0, 1.0, 0.5), 1)
    rng = np.random.default_rng(0)
    masks = [np.ones((1, 2, 3), bool), np.ones((2, 1, 3), bool), rng.random((3, 3, 3)) < 0.6]
    for mask in [*masks, *masks]:
        assert by_shape.of(mask) == real(mask, (3.0, 1.0, 0.5), 1)
    assert len(calls) == 3
