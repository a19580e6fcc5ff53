"""Simulates the MR image of one sequence from an anatomy, with the usual artefacts.

In: spine, foci, grid and a random generator. Out: an int16 image (z, y, x), and the masks of the metastases.
Slices are as thick as their distance, so each voxel averages several sub-slices (partial volume). Then follow the
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
NOISE = (14.0, 30.0)  # range of the standard deviation in each part of the complex signal; drawn for each image
BEHIND = 15.0  # mm by which the image's middle lies behind the vertebral bodies' centres, so that arches are in view
# signal in arbitrary units in T1, T2 (fast spin echo without fat suppression, so fat is bright) and STIR; from
# dark to bright the tissues come in the same order as in clinical spine protocols
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
# relative change of marrow's signal in T1, T2 and STIR where it is one standard deviation fattier than its mean
FATTIER = (0.09, 0.06, -0.2)


@dataclass(frozen=True)
class Motion:
    """Rigid motion of the patient between two sequences, about the middle of the image.

    Args:
        degrees: rotation about x, y and z in degrees.
        shift: translation along x, y and z in mm.
    """

    degrees: tuple[float, float, float] = (0, 0, 0)
    shift: tuple[float, float, float] = (0, 0, 0)


def draw_motion(rng: np.random.Generator) -> Motion:
    """Draw a motion of about one degree at most, and of one millimetre at most along each axis."""
    x, y, z = rng.normal(0, 0.4, 3)
    a, b, c = np.clip(rng.normal(0, 0.5, 3), -1, 1)
    return Motion((float(x), float(y), float(z)), (float(a), float(b), float(c)))


@dataclass(frozen=True)
class Scene:
    """A patient at one visit.

    Args:
        spine: geometry of the patient's vertebrae and discs.
        metastases: foci that make the label.
        confounders: foci that look like metastases; they are painted beneath them.
        marrow: factor on the signal of the patient's marrow in T1, T2 and STIR.
    """

    spine: Spine
    metastases: tuple[Focus, ...]
    confounders: tuple[Focus, ...]
    marrow: tuple[float, float, float]


def acquire(scene: Scene, sequence: str, grid: Geometry, motion: Motion, rng: np.random.Generator) -> NDArray[np.int16]:
    """Simulate the image (z, y, x) of one sequence.

    Args:
        scene: everything in the patient's field of view that gives a signal.
        sequence: name of the sequence, one of `SEQUENCES`.
        grid: geometry of the image.
        motion: motion of the patient since the first sequence.
        rng: random generator of bias field, noise and scale.
    """
    index = SEQUENCES.index(sequence)
    slabs = [_signal(scene, index, points) for points in _sub_slices(grid, motion)]
    image = np.mean(slabs, axis=0).reshape(grid.shape)
    image = gaussian_filter(image, (0, 0.45, 0.45))
    image = image * _bias(grid.shape, rng)
    noise = rng.uniform(*NOISE)
    image = np.hypot(image + rng.normal(0, noise, grid.shape), rng.normal(0, noise, grid.shape))
    return np.rint(image * rng.uniform(0.5, 2)).astype(np.int16)


def lesion_masks(scene: Scene, grid: Geometry) -> NDArray[np.bool_]:
    """Masks (metastasis, z, y, x) of the voxels that each metastasis fills by more than half, without motion."""
    total = np.zeros((len(scene.metastases), int(np.prod(grid.shape))), np.float32)
    for points in _sub_slices(grid, Motion()):
        at = locate(scene.spine, points)
        bone = cover(bone_distance(scene.spine, at))
        for row, focus in zip(total, scene.metastases, strict=True):
            inside = np.flatnonzero((at.level == focus.level) & (bone > 0))
            row[inside] += focus.cover(at.take(inside)) * bone[inside]
    return np.greater(total, 0.5 * SUB_SLICES).reshape(-1, *grid.shape)


def _sub_slices(grid: Geometry, motion: Motion) -> list[Array]:
    """For each sub-slice the patient's points (n, 3) in mm of all voxels."""
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
    """Signal (n,) of the sequence `SEQUENCES[index]` at points (n, 3)."""
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
        # a metastasis also destroys the cortex, while other foci stay in the marrow
        within = bone if focus.is_metastasis else marrow
        inside = np.flatnonzero((at.level == focus.level) & (within > 0))
        part = focus.cover(at.take(inside)) * within[inside]
        texture = 1 + 0.6 * (fattier[inside] - 1)
        signal[inside] += part * (focus.signal[index] * texture - signal[inside])
    return signal


def _bias(shape: tuple[int, int, int], rng: np.random.Generator) -> Array:
    """Draw a smooth factor (z, y, x) on the signal: 1 in the middle, and larger at the back, where the coil is."""
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    terms = (z, y, y * y, x * x, x * y, z * x, y**3)
    total = rng.uniform(0.15, 0.45) * x
    for term in terms:
        total = total + rng.normal(0, 0.1) * term
    return np.exp(total).astype(np.float32)
