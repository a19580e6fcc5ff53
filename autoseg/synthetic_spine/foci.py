"""Draws the focal changes (foci) in the marrow of a synthetic spine: metastases, and confounders that look like them.

In: a spine and a random generator. Out: `Focus` objects with a place, a shape and a signal in each
sequence. Signals are in the unit of `signals.TISSUES`, where fatty marrow has about 500 in T1.
The package's docstring lists the sources of the contrasts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from autoseg.synthetic_spine.anatomy import Array, Place, Spine, cover
from autoseg.synthetic_spine.kinds import PhantomKind

METASTASES = ("lytic", "sclerotic")
LARGEST_IN_ARCH = 6.0  # mm, largest radius of a metastasis in pedicles and spinous processes
# lowest and highest signal of each kind of focus in T1, T2 and STIR
SIGNALS: dict[str, tuple[tuple[float, float], tuple[float, float], tuple[float, float]]] = {
    "lytic": ((220, 340), (560, 780), (430, 780)),
    "sclerotic": ((110, 270), (110, 260), (70, 420)),
    "haemangioma": ((520, 800), (620, 850), (330, 600)),
    "fat island": ((680, 850), (480, 560), (40, 90)),
    "Modic 1": ((240, 350), (540, 700), (380, 600)),
    "Modic 2": ((640, 800), (480, 620), (60, 110)),
    "Modic 3": ((130, 270), (130, 260), (60, 130)),
    "basivertebral vein": ((230, 380), (480, 680), (300, 560)),
}


@dataclass(frozen=True)
class Focus:
    """An ellipsoid with a lobed surface within one vertebra.

    Args:
        kind: kind of the focus, a key of `SIGNALS`.
        level: index of the vertebra, 0 = the lowest.
        centre: centre in mm from the centre of the vertebral body, along (u, v, w): superior, posterior, left.
        radii: half axes of the ellipsoid in mm, along the same axes.
        signal: signal in T1, T2 and STIR.
        edge: distance in mm over which the focus fades into the marrow.
        lobes: (2, 4) two waves that form the lobes of the surface: three components of the wave vector, and phase.
    """

    kind: str
    level: int
    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    signal: tuple[float, float, float]
    edge: float
    lobes: NDArray[np.float64]

    @property
    def is_metastasis(self) -> bool:
        """Whether the focus is a metastasis, and so belongs to the label."""
        return self.kind in METASTASES

    def grown(self, factor: float) -> Focus:
        """The same focus with its radii multiplied by `factor`."""
        a, b, c = (factor * r for r in self.radii)
        return replace(self, radii=(a, b, c))

    def cover(self, at: Place) -> Array:
        """Share of each point that the focus covers, (n,) from 0 to 1; all points must lie in the focus's vertebra."""
        offsets = np.stack([at.u, at.v, at.w], axis=-1) - np.asarray(self.centre, np.float32)
        scaled = offsets / np.asarray(self.radii, np.float32)
        distance = np.linalg.norm(scaled, axis=-1)
        direction = scaled / np.maximum(distance, 1e-3)[:, None]
        lobed = np.ones_like(distance)
        for *vector, phase in self.lobes:
            lobed += 0.13 * np.sin(direction @ np.asarray(vector, np.float32) + np.float32(phase))
        return cover((distance - lobed) * np.float32(min(self.radii)), self.edge)


def draw_metastases(
    rng: np.random.Generator, spine: Spine, types: tuple[str, ...], kind: PhantomKind, reach: float
) -> list[Focus]:
    """Draw one metastasis for each entry of `types`, at a distance from each other, with its centre in view.

    There are fewer where the vertebrae in view have no room for more, but at least one.

    Args:
        rng: random generator that draws number, place, size and shape.
        spine: spine in which the metastases grow.
        types: `lytic` or `sclerotic`, one entry for each metastasis.
        kind: kind of the phantom, which gives the range of sizes.
        reach: distance in mm above and below the middle of the image within which metastases may lie.
    """
    levels = np.flatnonzero(np.abs(spine.centres) + 0.5 * spine.half_heights < reach)
    found: list[Focus] = []
    for type_ in types:
        first = not found
        candidates = (_draw_metastasis(rng, spine, type_, levels, kind, first=first) for _ in range(40))
        free = next((c for c in candidates if all(_apart(spine, c, other) for other in found)), None)
        if free is not None:
            found.append(free)
    return found


def draw_confounders(rng: np.random.Generator, spine: Spine) -> list[Focus]:
    """Draw veins, haemangiomas, islands of fat and degenerate endplates, none of which belongs to the label."""
    foci: list[Focus] = []
    for level in range(len(spine.centres)):
        half, depth = float(spine.half_heights[level]), float(spine.half_depths[level])
        if rng.random() < 0.8:
            vein = (rng.uniform(-1, 2), 0.72 * depth, rng.uniform(-2, 2))
            foci.append(_focus(rng, "basivertebral vein", level, vein, (rng.uniform(1, 1.9), 0.4 * depth, 4)))
        for kind, chance in (("haemangioma", 0.3), ("fat island", 0.4)):
            if rng.random() < chance:
                centre = (rng.uniform(-0.6, 0.6) * half, rng.uniform(-0.7, 0.5) * depth, rng.uniform(-13, 13))
                foci.append(_focus(rng, kind, level, centre, _radii(rng, _log_uniform(rng, 2, 9))))
        if level + 1 < len(spine.centres) and rng.random() < 0.15 + 0.5 * spine.degeneration[level]:
            foci.extend(_endplates(rng, spine, level))
    return foci


def _endplates(rng: np.random.Generator, spine: Spine, level: int) -> list[Focus]:
    """Draw Modic changes on both sides of the disc above `level`: flat and broad, along the endplates."""
    kind = str(rng.choice(["Modic 1", "Modic 2", "Modic 3"], p=[0.4, 0.35, 0.25]))
    v, w = rng.uniform(-8, 4), rng.uniform(-9, 9)
    foci = []
    for vertebra, sign in ((level, 1), (level + 1, -1)):
        half = float(spine.half_heights[vertebra])
        radii = (rng.uniform(4, 9), rng.uniform(7, 15), rng.uniform(8, 18))
        foci.append(_focus(rng, kind, vertebra, (sign * 0.95 * half, v, w), radii))
    return foci


def _draw_metastasis(
    rng: np.random.Generator, spine: Spine, type_: str, levels: NDArray[np.intp], kind: PhantomKind, *, first: bool
) -> Focus:
    smallest, largest = (kind.leading if first else kind.radius[0]), kind.radius[1]
    level = int(rng.choice(levels))
    half, depth = float(spine.half_heights[level]), float(spine.half_depths[level])
    if first or rng.random() < 0.85:
        # blood spreads metastases, so they lie anywhere in the vertebral bodies
        centre = (rng.uniform(-0.75, 0.75) * half, rng.uniform(-0.7, 0.75) * depth, rng.uniform(-14, 14))
        radius = _log_uniform(rng, smallest, largest)
    elif rng.random() < 0.5:
        centre = (0.3 * half + rng.uniform(-2, 2), depth + rng.uniform(2, 8), float(rng.choice([-12.5, 12.5])))
        radius = _log_uniform(rng, smallest, min(largest, LARGEST_IN_ARCH))
    else:
        back = rng.uniform(25, 38)
        centre = (-8 - 0.3 * (back - 32), depth + back, rng.uniform(-1, 1))
        radius = _log_uniform(rng, smallest, min(largest, LARGEST_IN_ARCH))
    return _focus(rng, type_, level, centre, _radii(rng, radius))


def _focus(
    rng: np.random.Generator,
    kind: str,
    level: int,
    centre: tuple[float, float, float],
    radii: tuple[float, float, float],
) -> Focus:
    t1, t2, stir = (float(rng.uniform(*bounds)) for bounds in SIGNALS[kind])
    lobes = np.concatenate([rng.normal(0, 2.5, (2, 3)), rng.uniform(0, 2 * np.pi, (2, 1))], axis=1)
    return Focus(kind, level, centre, radii, (t1, t2, stir), float(rng.uniform(1.1, 2.6)), lobes)


def _radii(rng: np.random.Generator, radius: float) -> tuple[float, float, float]:
    a, b, c = (float(radius * f) for f in rng.uniform(0.8, 1.25, 3))
    return a, b, c


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _apart(spine: Spine, a: Focus, b: Focus) -> bool:
    """Whether two foci, lobes included, leave at least one slice and a few voxels between them."""
    gap = np.subtract(a.centre, b.centre)
    gap[0] += spine.centres[a.level] - spine.centres[b.level]
    return bool(np.linalg.norm(gap) > 1.26 * (max(a.radii) + max(b.radii)) + 7)
