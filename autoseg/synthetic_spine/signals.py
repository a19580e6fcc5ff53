"""What a scanner makes of an anatomy: the image of one sequence, with all that spoils it.

In: spine, foci, grid and a random generator. Out: an int16 image (z, y, x), and the label.
Slices are as thick as they are apart (partial volume: several sub-slices are averaged). Then the
point spread in plane, a bias field that falls off from the coil behind the patient, and Rician noise
(magnitude of a complex signal with Gaussian noise in both parts; Gudbjartsson and Patz, Magnetic
Resonance in Medicine 1995, 34:910-914).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from autoseg.image.geometry import Geometry
from autoseg.synthetic_spine.anatomy import Array, Spine, bone_distance, cover, layers, locate
from autoseg.synthetic_spine.foci import Focus

SEQUENCES = ("T1", "T2", "STIR")
SUB_SLICES = 3
NOISE = (14.0, 30.0)  # standard deviation in either part of the complex signal; one is drawn for an image
BEHIND = 15.0  # mm from the vertebral bodies' centres to the image's middle, so that the arches are in view
# arbitrary units, T1, T2 (fast spin echo without fat suppression, so fat is bright) and STIR; the
# order of the tissues is that of clinical spine protocols
TISSUES: dict[str, tuple[float, float, float]] = {
    "air": (0, 0, 0),
    "skin": (300, 250, 200),
    "fat": (820, 680, 70),
    "muscle": (290, 190, 210),
    "bowel": (260, 380, 330),
    "ligament": (90, 70, 50),
    "artery": (40, 40, 50),
    "vein": (230, 330, 420),
    "csf": (130, 930, 900),
    "cord": (330, 400, 370),
    "annulus": (220, 170, 120),
    "nucleus": (300, 650, 460),
    "worn disc": (260, 220, 160),
    "cortex": (60, 50, 40),
    "marrow": (500, 400, 150),
}
# relative change of marrow where it is one standard deviation fattier than its mean
FATTIER = (0.09, 0.06, -0.2)


@dataclass(frozen=True)
class Motion:
    """Rigid motion of the patient between two sequences, about the middle of the image.

    Args:
        degrees: about x, y and z.
        shift: mm along x, y and z.
    """

    degrees: tuple[float, float, float] = (0, 0, 0)
    shift: tuple[float, float, float] = (0, 0, 0)


def draw_motion(rng: np.random.Generator) -> Motion:
    """At most about a degree, and a millimetre along each axis."""
    x, y, z = rng.normal(0, 0.4, 3)
    a, b, c = np.clip(rng.normal(0, 0.5, 3), -1, 1)
    return Motion((float(x), float(y), float(z)), (float(a), float(b), float(c)))


@dataclass(frozen=True)
class Scene:
    """A patient on the table.

    Args:
        metastases: each becomes part of the label.
        confounders: painted beneath them.
        marrow: factor of the patient's marrow signal in T1, T2 and STIR.
    """

    spine: Spine
    metastases: tuple[Focus, ...]
    confounders: tuple[Focus, ...]
    marrow: tuple[float, float, float]


def acquire(scene: Scene, sequence: str, grid: Geometry, motion: Motion, rng: np.random.Generator) -> NDArray[np.int16]:
    """The image (z, y, x) of one sequence."""
    index = SEQUENCES.index(sequence)
    slabs = [_signal(scene, index, points) for points in _sub_slices(grid, motion)]
    image = np.mean(slabs, axis=0).reshape(grid.shape)
    image = gaussian_filter(image, (0, 0.45, 0.45))
    image = image * _bias(grid.shape, rng)
    noise = rng.uniform(*NOISE)
    image = np.hypot(image + rng.normal(0, noise, grid.shape), rng.normal(0, noise, grid.shape))
    return np.rint(image * rng.uniform(0.5, 2)).astype(np.int16)


def lesion_masks(scene: Scene, grid: Geometry) -> NDArray[np.bool_]:
    """Voxels more than half filled by each metastasis, (metastasis, z, y, x), without motion."""
    total = np.zeros((len(scene.metastases), int(np.prod(grid.shape))), np.float32)
    for points in _sub_slices(grid, Motion()):
        at = locate(scene.spine, points)
        bone = cover(bone_distance(scene.spine, at))
        for row, focus in zip(total, scene.metastases, strict=True):
            inside = np.flatnonzero((at.level == focus.level) & (bone > 0))
            row[inside] += focus.cover(at.take(inside)) * bone[inside]
    return np.greater(total, 0.5 * SUB_SLICES).reshape(-1, *grid.shape)


def _sub_slices(grid: Geometry, motion: Motion) -> list[Array]:
    """Points (n, 3) of the patient, in mm, of each sub-slice of every slice."""
    turn = Rotation.from_euler("xyz", motion.degrees, degrees=True)
    across, down, back = turn.apply(grid.axes())
    slices, rows, columns = (np.arange(n) - (n - 1) / 2 for n in grid.shape)
    plane = rows[:, None, None] * down + columns[:, None] * back + np.asarray(motion.shift) + (0, BEHIND, 0)
    found = []
    for offset in (np.arange(SUB_SLICES) + 0.5) / SUB_SLICES - 0.5:
        points = (slices + offset)[:, None, None, None] * across + plane
        found.append(points.reshape(-1, 3).astype(np.float32))
    return found


def _signal(scene: Scene, index: int, points: Array) -> Array:
    """Signal (n,) of the sequence `index` at points (n, 3)."""
    at = locate(scene.spine, points)
    signal = np.zeros(len(points), np.float32)
    soft = 1 + 0.05 * scene.spine.soft.at(points[:, ::-1])
    fattier = 1 + FATTIER[index] * scene.spine.marrow.at(points)
    for tissue, share in layers(scene.spine, at, points):
        value = TISSUES[tissue][index] * (scene.marrow[index] * fattier if tissue == "marrow" else soft)
        signal += share * (value - signal)
    bone = cover(bone_distance(scene.spine, at))
    marrow = share
    for focus in (*scene.confounders, *scene.metastases):
        # a metastasis also destroys the cortex, the others keep to the marrow
        within = bone if focus.is_metastasis else marrow
        inside = np.flatnonzero((at.level == focus.level) & (within > 0))
        part = focus.cover(at.take(inside)) * within[inside]
        texture = 1 + 0.6 * (fattier[inside] - 1)
        signal[inside] += part * (focus.signal[index] * texture - signal[inside])
    return signal


def _bias(shape: tuple[int, int, int], rng: np.random.Generator) -> Array:
    """Smooth factor (z, y, x), brightest at the back where the coil is, 1 in the middle."""
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    terms = (z, y, y * y, x * x, x * y, z * x, y**3)
    total = rng.uniform(0.15, 0.45) * x
    for term in terms:
        total = total + rng.normal(0, 0.1) * term
    return np.exp(total).astype(np.float32)
