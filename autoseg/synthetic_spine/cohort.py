"""Plans the patients and cases of a synthetic data set, and the sequences of each case.

In: number of cases, seed. Out: a `CasePlan` for each case. A case depends on the seed and its own
numbers only, so that cases can be drawn in any order and by any number of processes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from autoseg.image.geometry import Geometry
from autoseg.synthetic_spine.anatomy import Spine, draw_spine
from autoseg.synthetic_spine.foci import Focus, draw_confounders, draw_metastases
from autoseg.synthetic_spine.kinds import KINDS, PhantomKind
from autoseg.synthetic_spine.mr_signal import SEQUENCES, Scene

FOLLOW_UP = 5  # every fifth patient is imaged twice
ABSENT = 0.25  # share of the cases that lack a sequence by default
MOST_MISSING = 0.5
PATIENT, CASE, COHORT = 0, 1, 2  # part of the seed, so that random streams of patients, cases and cohort differ


@dataclass(frozen=True)
class CasePlan:
    """Plan of one case, from which it is drawn.

    Args:
        name: name of the case.
        number: number of the case, from 0.
        patient: number of the patient, from 0.
        visit: 0, or 1 for a second case of the same patient.
        sequences: names of the acquired sequences, in order; the label belongs to the first one.
        shape: number of voxels (z, y, x).
        seed: random seed of the data set.
        kind: kind of the phantom, a key of `KINDS`.
    """

    name: str
    number: int
    patient: int
    visit: int
    sequences: tuple[str, ...]
    shape: tuple[int, int, int]
    seed: int
    kind: str = "spine"

    def rng(self, stream: int) -> np.random.Generator:
        """Random generator of this case; each `stream` number gives an independent one."""
        return np.random.default_rng([self.seed, CASE, self.number, stream])


def plan_cohort(
    cases: int, seed: int, shape: tuple[int, int, int], *, kind: str = "spine", missing: float | None = None
) -> list[CasePlan]:
    """Plan every case of the data set: its patient, its visit and its sequences.

    Args:
        cases: number of synthetic patients to plan.
        seed: random seed of the data set.
        shape: number of voxels (z, y, x) of each case.
        kind: kind of the phantom, a key of `KINDS`.
        missing: share of the cases that lack each sequence; None = every fourth case lacks one sequence.
    """
    rng = np.random.default_rng([seed, COHORT])
    absent = _one_absent(rng, cases) if missing is None else _absent(rng, cases, missing)
    plans: list[CasePlan] = []
    patient = visit = 0
    for number in range(cases):
        sequences = tuple(s for s in SEQUENCES if s not in absent[number])
        plans.append(CasePlan(f"spine_{number + 1:03d}", number, patient, visit, sequences, shape, seed, kind))
        if patient % FOLLOW_UP == FOLLOW_UP - 1 and visit == 0:
            visit = 1
        else:
            patient, visit = patient + 1, 0
    return plans


def _one_absent(rng: np.random.Generator, cases: int) -> list[set[str]]:
    """Sequences that each case lacks: at most one; each sequence is missing about equally often."""
    absent: list[set[str]] = [set() for _ in range(cases)]
    for i, case in enumerate(rng.permutation(cases)[: round(ABSENT * cases)]):
        absent[case].add(SEQUENCES[::-1][i % len(SEQUENCES)])
    return absent


def _absent(rng: np.random.Generator, cases: int, share: float) -> list[set[str]]:
    """Sequences that each case lacks: each sequence is missing from the same share of the cases.

    Sequences are missing independently of each other, except that every case keeps at least one.
    """
    absent: list[set[str]] = [set() for _ in range(cases)]
    for sequence in SEQUENCES:
        may = [case for case in rng.permutation(cases) if len(absent[case]) < len(SEQUENCES) - 1]
        for case in may[: round(share * cases)]:
            absent[case].add(sequence)
    return absent


def draw_grid(plan: CasePlan) -> Geometry:
    """Draw a slightly oblique sagittal grid: slices across the patient, rows downwards, columns to the back.

    The field of view, about 58 x 176 x 106 mm (z, y, x), does not depend on the shape; the spacing does.
    """
    rng, kind = plan.rng(0), KINDS[plan.kind]
    slices, rows, _ = plan.shape
    in_plane = float(rng.choice(kind.in_plane)) * kind.shape[1] / rows
    thickness = float(rng.choice(kind.thickness)) * kind.shape[0] / slices
    left = 1.0 if rng.random() < 0.5 else -1.0  # scanners number the slices from right or from left
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
    """Draw the patient at this visit; at a second visit the metastases have grown."""
    rng, kind = np.random.default_rng([plan.seed, PATIENT, plan.patient]), KINDS[plan.kind]
    spine = draw_spine(rng)
    first = draw_metastases(rng, spine, _types(rng, kind), kind, reach=80)
    confounders = draw_confounders(rng, spine)
    fat = rng.normal()
    marrow = (1 + 0.12 * fat, 1 + 0.08 * fat, max(0.5, 1 - 0.25 * fat))
    metastases = [focus.grown(1.2) for focus in first] if plan.visit else first
    return Scene(spine, tuple(metastases), tuple(_beside(spine, confounders, metastases)), marrow)


def lesion_type(kinds: set[str]) -> str:
    """Value of the column `lesion_type`: `lytic`, `sclerotic`, or `mixed` for a case with both kinds."""
    return "mixed" if len(kinds) > 1 else next(iter(kinds))


def _types(rng: np.random.Generator, kind: PhantomKind) -> tuple[str, ...]:
    """Draw the type of each metastasis of a patient: most tumours have one type, some have both."""
    fewest, most = kind.metastases
    number = int(rng.integers(fewest, most + 1))
    tumour = rng.random()
    if tumour < 0.4:
        return ("lytic",) * number
    if tumour < 0.8:
        return ("sclerotic",) * number
    number = max(number, 2)
    return tuple(("lytic", "sclerotic")[i % 2] for i in range(number))


def _beside(spine: Spine, confounders: list[Focus], metastases: list[Focus]) -> list[Focus]:
    """The confounders that do not overlap a metastasis, since a half-covered one would look like neither."""

    def free(focus: Focus) -> bool:
        for lesion in metastases:
            gap = np.subtract(focus.centre, lesion.centre)
            if focus.level == lesion.level and np.all(np.abs(gap) < np.add(focus.radii, lesion.radii)):
                return False
        return True

    return [focus for focus in confounders if focus.kind == "basivertebral vein" or free(focus)]
