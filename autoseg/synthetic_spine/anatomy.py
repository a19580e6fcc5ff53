"""Draws the anatomy of a synthetic lumbar spine, and says which tissues lie at a point of the patient.

In: points in mm (x to the left, y to posterior, z to superior, origin in the middle of the spine).
Out: layers that are painted one over the other; each is a tissue and the share of every point that it covers.

The spine is described in straightened coordinates in mm: s along the spine (to superior), v to posterior and
w to the left of its centre line. The centre line itself bends (lordosis, slight scoliosis).
Sizes of vertebral bodies, discs and canal are within the ranges of adult lumbar spines (Panjabi et
al., Spine 1992, 17:299-306; Zhou et al., European Spine Journal 2000, 9:242-248).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]  # float32 wherever there is one value for each point
Layer = tuple[str, Array]
EDGE = 1.1  # distance in mm over which one tissue fades into the next: about a voxel in plane


@dataclass(frozen=True)
class Waves:
    """A smooth random field: a sum of plane waves, which needs no grid, so that it moves with the tissue.

    Args:
        vectors: (n, 3) wave vectors (x, y, z) in radians per mm.
        phases: (n,) phases in radians.
    """

    vectors: Array
    phases: Array

    def at(self, points: Array) -> Array:
        """Values (n,) of the field at points (n, 3); they have mean 0 and standard deviation 1."""
        x, y, z = np.ascontiguousarray(points.T)
        total = np.zeros(len(points), np.float32)
        # a loop, since the last bit of a matrix product may depend on the number of threads
        for (a, b, c), phase in zip(self.vectors, self.phases, strict=True):
            total += np.cos(a * x + b * y + c * z + phase)
        return total * np.float32(np.sqrt(2 / len(self.phases)))


def draw_waves(rng: np.random.Generator, wavelengths: tuple[float, float], number: int = 12) -> Waves:
    """Draw waves in random directions, with wavelengths between two bounds in mm."""
    directions = rng.normal(size=(number, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    low, high = np.log(wavelengths)
    lengths = np.exp(rng.uniform(low, high, size=(number, 1)))
    vectors = 2 * np.pi * directions / lengths
    return Waves(vectors.astype(np.float32), rng.uniform(0, 2 * np.pi, number).astype(np.float32))


@dataclass(frozen=True)
class Spine:
    """One patient's spine.

    Arrays have one entry for each vertebra, from the lowest one upwards. Lengths are in mm.

    Args:
        bend: amplitude and wavelength in mm, and phase in radians, of the sagittal curve of the centre line.
        lean: amplitude, wavelength and phase of the coronal curve.
        centres: coordinate s of the centre of each vertebral body.
        half_heights, half_depths, half_widths: half the size of each vertebral body along s, v and w.
        discs: coordinate s of the middle of the disc above each body.
        degeneration: degeneration of that disc, from 0 (bright in T2) to 1 (dark).
        bulge: how far that disc reaches beyond the bodies, as a share of their radius.
        conus: coordinate s of the lower end of the cord.
        marrow, soft: random fields that vary the signal of marrow and of soft tissue.
    """

    bend: tuple[float, float, float]
    lean: tuple[float, float, float]
    centres: Array
    half_heights: Array
    half_depths: Array
    half_widths: Array
    discs: Array
    degeneration: Array
    bulge: Array
    conus: float
    marrow: Waves
    soft: Waves


def draw_spine(rng: np.random.Generator) -> Spine:
    """Draw a patient's spine; it is longer than any field of view."""
    levels, scale = 10, rng.uniform(0.92, 1.08)
    grow = np.linspace(1.06, 0.88, levels) * scale
    heights = 27.5 * grow * rng.uniform(0.95, 1.05, levels)
    degeneration = np.clip(rng.beta(0.9, 0.9, levels), 0, 1)
    gaps = (11.0 - 4.0 * degeneration) * grow
    lower = np.concatenate([[0], np.cumsum(heights + gaps)[:-1]])
    lower += rng.uniform(-20, 20) - float(lower[-1] + heights[-1]) / 2
    return Spine(
        bend=(rng.uniform(6, 13), rng.uniform(230, 320), rng.uniform(0, 2 * np.pi)),
        lean=(rng.uniform(0, 3), rng.uniform(200, 300), rng.uniform(0, 2 * np.pi)),
        centres=(lower + heights / 2).astype(np.float32),
        half_heights=(heights / 2).astype(np.float32),
        half_depths=(16.0 * grow * rng.uniform(0.97, 1.03, levels)).astype(np.float32),
        half_widths=(21.5 * grow).astype(np.float32),
        discs=(lower + heights + gaps / 2).astype(np.float32),
        degeneration=degeneration.astype(np.float32),
        bulge=(0.02 + 0.14 * degeneration * rng.uniform(0, 1, levels)).astype(np.float32),
        conus=float(rng.uniform(-10, 60)),
        marrow=draw_waves(rng, (4, 25)),
        soft=draw_waves(rng, (9, 45), number=20),
    )


@dataclass(frozen=True)
class Place:
    """Points in straightened coordinates; every array is (n,).

    Args:
        s, v, w: position in mm along the spine, to posterior and to the left of its centre line.
        level: index of the vertebra in which, or just above or below which, the point lies.
        u: distance in mm along the spine from the centre of that vertebra's body.
        depth: half depth of the vertebral bodies in mm, interpolated along the spine.
        radius: distance from the centre line, scaled so that it is 1 on the wall of the vertebral bodies.
    """

    s: Array
    v: Array
    w: Array
    level: NDArray[np.intp]
    u: Array
    depth: Array
    radius: Array

    def take(self, index: NDArray[np.intp]) -> Place:
        """The points that an index array selects."""
        return Place(*(getattr(self, name)[index] for name in ("s", "v", "w", "level", "u", "depth", "radius")))


def locate(spine: Spine, points: Array) -> Place:
    """Convert points (n, 3), given as (x, y, z) in mm, to straightened coordinates."""
    x, y, z = np.ascontiguousarray(points.T)
    amplitude, wavelength, phase = spine.bend
    angle = np.float32(2 * np.pi / wavelength) * z + np.float32(phase)
    slope = np.float32(amplitude * 2 * np.pi / wavelength) * np.cos(angle)
    v = (y - np.float32(amplitude) * np.sin(angle)) / np.sqrt(1 + slope**2)
    s = z + v * slope
    amplitude, wavelength, phase = spine.lean
    w = x - np.float32(amplitude) * np.sin(np.float32(2 * np.pi / wavelength) * z + np.float32(phase))
    level = np.clip(np.searchsorted(spine.discs, s), 0, len(spine.centres) - 1)
    depth = np.interp(s, spine.centres, spine.half_depths).astype(np.float32)
    width = np.interp(s, spine.centres, spine.half_widths).astype(np.float32)
    # the back of a vertebral body is flat, and its front is round
    power = np.where(v > 0, np.float32(3.6), np.float32(2.3))
    radius = (np.abs(v / depth) ** power + np.abs(w / width) ** power) ** (1 / power)
    return Place(s, v, w, level, s - spine.centres[level], depth, radius)


def cover(distance: Array, edge: float = EDGE) -> Array:
    """Share of each point that lies inside a surface, from 0 to 1.

    Args:
        distance: (n,) distance of each point from the surface in mm; negative inside.
        edge: distance in mm over which the share falls from 1 to 0.
    """
    return np.clip(np.float32(0.5) - distance / np.float32(edge), 0, 1)


def bone_distance(spine: Spine, at: Place) -> Array:
    """Approximate distance (n,) in mm to the surface of the vertebrae (bodies and arches); negative inside."""
    half = spine.half_heights[at.level]
    waist = 1 + 0.07 * np.square(np.clip(at.u / half, -1, 1))
    wall = (at.radius / (waist - 0.04) - 1) * at.depth
    endplate = np.abs(at.u) - half * (1 - 0.13 * (1 - np.clip(at.radius, 0, 1) ** 2))
    corner = np.float32(1.5)
    body = np.hypot(np.maximum(wall + corner, 0), np.maximum(endplate + corner, 0)) - corner
    body = np.where((wall < -corner) & (endplate < -corner), np.maximum(wall, endplate), body)
    return np.minimum(body, _arch_distance(at, half))


def _arch_distance(at: Place, half: Array) -> Array:
    """Approximate distance in mm to pedicles, facets, laminae and spinous processes; `half` = half body height."""
    back, side = at.v - at.depth, np.abs(at.w)
    pedicle = _ellipsoid(side - 12.5, back - 6, at.u - 0.3 * half, (4.5, 11, 7))
    facet = _ellipsoid(side - 15.5, back - 20, at.u + 0.9 * half, (5.5, 6.5, 13))
    lamina = _ellipsoid(side - 7, back - 19 + 0.3 * side, at.u + 4, (8, 3.2, 9))
    spinous = _ellipsoid(at.w, back - 32, at.u + 8 + 0.3 * (back - 32), (3.8, 13, 8.5))
    return np.minimum(np.minimum(pedicle, facet), np.minimum(lamina, spinous))


def _ellipsoid(a: Array, b: Array, c: Array, radii: tuple[float, float, float]) -> Array:
    q = np.sqrt(np.square(a / radii[0]) + np.square(b / radii[1]) + np.square(c / radii[2]))
    return ((q - 1) * np.float32(min(radii))).astype(np.float32)


def layers(spine: Spine, at: Place, points: Array) -> Iterator[Layer]:
    """Yield each tissue and the share (n,) of the points that it covers, from the bottom layer up; `marrow` is last.

    Args:
        spine: geometry of the patient's vertebrae and discs.
        at: the points in straightened coordinates.
        points: the same points as (n, 3), at which the random field of soft tissue is read.
    """
    texture = spine.soft.at(points)
    yield from _surroundings(at, texture)
    yield from _canal(spine, at, texture)
    yield from _discs(spine, at)
    bone = bone_distance(spine, at)
    yield "cortex", cover(bone - 0.3)
    yield "marrow", cover(bone + 0.7)


def _surroundings(at: Place, texture: Array) -> Iterator[Layer]:
    back, side = at.v - at.depth, np.abs(at.w)
    fat = np.ones_like(at.v)
    yield "fat", fat
    # bowel and mesentery in front of the column, muscle beside and behind it
    yield "bowel", cover(at.v + at.depth + 4) * np.clip(0.5 + texture, 0, 1)
    yield "muscle", cover(_ellipsoid(side - 30, at.v - 2, at.u * 0, (11, 17, 1)), 2)
    streaks = np.clip(1.1 - 0.6 * np.maximum(texture - 0.4, 0) * 2, 0, 1)
    paraspinal = cover(np.maximum(np.maximum(14 - back, back - 44), 5 - side), 2)
    yield "muscle", paraspinal * streaks
    yield "ligament", cover(np.maximum(np.maximum(16 - back, back - 42), side - 2.5), 3) * np.clip(0.55 + texture, 0, 1)
    yield "ligament", cover(np.abs(back - 45.5) - 0.8)
    yield "artery", cover(_ellipsoid(at.w - 9, at.v + at.depth + 11, at.u * 0, (8.5, 8.5, 1)))
    yield "vein", cover(_ellipsoid(at.w + 11, at.v + at.depth + 9, at.u * 0, (9, 6.5, 1)))
    yield "skin", cover(np.abs(back - 61) - 1)
    yield "air", cover(62 - back)


def _canal(spine: Spine, at: Place, texture: Array) -> Iterator[Layer]:
    centre, side = at.v - at.depth - 9, at.w
    zero = at.u * 0
    yield "fat", cover(_ellipsoid(side, centre, zero, (12, 9, 1)))
    yield "ligament", cover(np.abs(_ellipsoid(side, centre + 0.8, zero, (9.3, 7.6, 1))) - 0.3)
    yield "csf", cover(_ellipsoid(side, centre + 0.8, zero, (9, 7.3, 1)))
    # the cord tapers to its conus, below which the nerve roots lie at the back of the sac
    taper = np.clip((at.s - spine.conus) / 18, 0, 1) ** 0.5
    cord = (np.sqrt(np.square(side / 5.6) + np.square((centre + 0.2) / 4.1)) - taper) * 4.1
    yield "cord", cover(cord) * (taper > 0)
    strands = np.cos(1.9 * side + texture) * np.cos(2.6 * centre + 0.4 * texture + 0.02 * at.s)
    sac = cover(_ellipsoid(side, centre - 1.8, zero, (7.5, 4, 1)))
    yield "cord", sac * np.clip(0.35 + 0.6 * strands, 0, 0.9) * np.clip((spine.conus + 8 - at.s) / 10, 0, 1)


def _discs(spine: Spine, at: Place) -> Iterator[Layer]:
    above = at.level - (at.u < 0)
    disc = np.clip(above, 0, len(spine.discs) - 1)
    offset = at.s - spine.discs[disc]
    worn = spine.degeneration[disc]
    # the bulge is largest at the disc's middle; elsewhere the ligaments lie on the column
    rim = 1 + spine.bulge[disc] * np.exp(-np.square(offset / 5))
    wall = (at.radius / rim - 1) * at.depth
    yield "ligament", cover(wall - 0.8)
    yield "annulus", cover(wall + 0.6)
    nucleus = cover((at.radius - 0.72) * at.depth, 5) * cover(np.abs(offset) - 4.2, 2.5)
    cleft = 1 - 0.35 * np.exp(-np.square(offset / 1.2))
    yield "nucleus", nucleus * (1 - worn) * cleft
    yield "worn disc", nucleus * worn
