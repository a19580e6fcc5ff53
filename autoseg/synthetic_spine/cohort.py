"""Who is in a synthetic data set: patients, their cases, and what was acquired.

In: number of cases, seed. Out: a `CasePlan` for each case. A case is drawn from the seed and its own
number alone, so that cases can be made in any order and by any number of processes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from autoseg.geometry import Geometry
from autoseg.synthetic_spine.anatomy import Spine, draw_spine
from autoseg.synthetic_spine.foci import Focus, draw_confounders, draw_metastases
from autoseg.synthetic_spine.signals import SEQUENCES, Scene

FOLLOW_UP = 5  # every fifth patient is imaged twice
ABSENT = 0.25  # share of the cases that lack a sequence
PATIENT, CASE, COHORT = 0, 1, 2  # what a random stream belongs to
DEFAULT_SHAPE = (14, 160, 96)


@dataclass(frozen=True)
class CasePlan:
    """One case to be made.

    Args:
        name: of the case.
        number: of the case, from 0.
        patient: number of the patient.
        visit: 0, or 1 for a second case of the same patient.
        sequences: those acquired, in order; the label belongs to the first.
        shape: voxels (z, y, x).
        seed: of the data set.
    """

    name: str
    number: int
    patient: int
    visit: int
    sequences: tuple[str, ...]
    shape: tuple[int, int, int]
    seed: int

    def rng(self, stream: int) -> np.random.Generator:
        """Random generator of one of this case's streams."""
        return np.random.default_rng([self.seed, CASE, self.number, stream])


def plan_cohort(cases: int, seed: int, shape: tuple[int, int, int]) -> list[CasePlan]:
    """Which cases there are, whose they are, and which sequences they have."""
    rng = np.random.default_rng([seed, COHORT])
    absent: dict[int, str] = {}
    for i, case in enumerate(rng.permutation(cases)[: round(ABSENT * cases)]):
        absent[int(case)] = SEQUENCES[::-1][i % len(SEQUENCES)]
    plans: list[CasePlan] = []
    patient = visit = 0
    for number in range(cases):
        sequences = tuple(s for s in SEQUENCES if s != absent.get(number))
        plans.append(CasePlan(f"spine_{number + 1:03d}", number, patient, visit, sequences, shape, seed))
        if patient % FOLLOW_UP == FOLLOW_UP - 1 and visit == 0:
            visit = 1
        else:
            patient, visit = patient + 1, 0
    return plans


def draw_grid(plan: CasePlan) -> Geometry:
    """A sagittal grid: slices across the patient, rows downwards, columns to the back; slightly oblique.

    A smaller shape sees the same field of view, about 58 x 176 x 106 mm, more coarsely.
    """
    rng = plan.rng(0)
    slices, rows, _ = plan.shape
    in_plane = float(rng.choice([1.05, 1.1, 1.15])) * DEFAULT_SHAPE[1] / rows
    thickness = float(rng.choice([4.0, 4.2, 4.4])) * DEFAULT_SHAPE[0] / slices
    left = 1.0 if rng.random() < 0.5 else -1.0  # scanners number the slices either way
    axes = np.array([[left, 0, 0], [0, 0, -1], [0, 1, 0]], dtype=float)
    axes = Rotation.from_euler("xyz", rng.normal(0, 2, 3), degrees=True).apply(axes)
    z, y, x = rng.normal(0, 20, 3)
    return Geometry(
        shape=plan.shape,
        spacing=(thickness, in_plane, in_plane),
        origin=(float(x), float(y), float(z)),
        direction=tuple((float(r[0]), float(r[1]), float(r[2])) for r in axes),
    )


def draw_scene(plan: CasePlan) -> Scene:
    """The patient as he or she is at this visit; at a second one the metastases have grown."""
    rng = np.random.default_rng([plan.seed, PATIENT, plan.patient])
    spine = draw_spine(rng)
    first = draw_metastases(rng, spine, _kinds(rng), reach=80)
    confounders = draw_confounders(rng, spine)
    fat = rng.normal()
    marrow = (1 + 0.12 * fat, 1 + 0.08 * fat, max(0.5, 1 - 0.25 * fat))
    metastases = [focus.grown(1.2) for focus in first] if plan.visit else first
    return Scene(spine, tuple(metastases), tuple(_beside(spine, confounders, metastases)), marrow)


def lesion_type(kinds: set[str]) -> str:
    """Value of the column: `lytic`, `sclerotic`, or `mixed` for a case with both."""
    return "mixed" if len(kinds) > 1 else next(iter(kinds))


def _kinds(rng: np.random.Generator) -> tuple[str, ...]:
    """Kind of each metastasis of a patient: most tumours make one kind, some both."""
    number = int(rng.integers(1, 7))
    tumour = rng.random()
    if tumour < 0.4:
        return ("lytic",) * number
    if tumour < 0.8:
        return ("sclerotic",) * number
    number = max(number, 2)
    return tuple(("lytic", "sclerotic")[i % 2] for i in range(number))


def _beside(spine: Spine, confounders: list[Focus], metastases: list[Focus]) -> list[Focus]:
    """Confounders away from metastases: one that a metastasis half covers would belong to neither."""

    def free(focus: Focus) -> bool:
        for lesion in metastases:
            gap = np.subtract(focus.centre, lesion.centre)
            if focus.level == lesion.level and np.all(np.abs(gap) < np.add(focus.radii, lesion.radii)):
                return False
        return True

    return [focus for focus in confounders if focus.kind == "basivertebral vein" or free(focus)]
