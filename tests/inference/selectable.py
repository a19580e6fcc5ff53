"""A RUN whose two configurations err independently of each other, as their out-of-fold probabilities have it.

Cases lie turned in space and are cropped; `2d` has the image's own spacing, `3d` half its resolution
in plane. Each probability is the truth under noise, so that a mean of both is better than either, and
the noise makes false components, so that removing small ones helps.
"""

from pathlib import Path

import numpy as np
from scipy import ndimage

from autoseg.image.geometry import Geometry, to_canonical
from autoseg.image.image import Image, write_image
from autoseg.image.labels import Labels
from autoseg.plan.plan import Plan, write_plan
from autoseg.run_folder.finished_fold import write_finished
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.preprocessed_case import CaseRecord
from autoseg.run_folder.splits import Split, write_splits
from autoseg.whole_image.out_of_fold import write_probabilities
from tests.example_fold import finished_fold
from tests.example_plan import example_channel, example_configuration, example_plan
from tests.example_record import example_record

LABELS = Labels(values=(0, 5), names=("background", "lesion"))
# array axes grow to left, inferior, posterior
STORED = Geometry((36, 10, 40), (1.0, 3.0, 1.0), (-16.0, -24.0, 32.0), ((1, 0, 0), (0, 0, -1), (0, 1, 0)))
TURN = to_canonical(STORED)  # to (z, y, x) of shape (10, 40, 36), spacing (3, 1, 1)
LOWER, UPPER = (1, 2, 0), (10, 38, 36)
CROP = tuple(slice(a, b) for a, b in zip(LOWER, UPPER, strict=True))
CASES = tuple(f"case_{i}" for i in range(8))
FOLDS = 4
STEP = {"2d": 1, "3d": 2}
NOISE = {"2d": 0.3, "3d": 0.28}


def selectable_plan() -> Plan:
    configurations = {
        name: example_configuration(spacing=(3.0, float(step), float(step))) for name, step in STEP.items()
    }
    channels = (example_channel("T1"), example_channel("STIR"))
    return example_plan(channels=channels, labels=LABELS, configurations=configurations)


def truth_of(case: int) -> np.ndarray:
    """Two lesions on the reoriented image, (10, 40, 36)."""
    rng = np.random.default_rng(100 + case)
    grid = np.stack(np.meshgrid(*map(np.arange, TURN.apply_to_geometry(STORED).shape), indexing="ij"), -1)
    truth = np.zeros(grid.shape[:3], np.uint8)
    for low, high in ((8, 15), (23, 30)):
        centre = (rng.integers(4, 7), rng.integers(low, high), rng.integers(8, 28))
        truth[np.linalg.norm((grid - centre) * (3, 1, 1), axis=-1) < 6.5] = 1
    return truth


def probability_of(case: int, name: str) -> np.ndarray:
    """The lesion's probability in the crop at the configuration's spacing."""
    step = STEP[name]
    truth = truth_of(case)[CROP].astype(float)
    depth, y, x = truth.shape
    coarse = truth.reshape(depth, y // step, step, x // step, step).mean((2, 4))
    seed = 1000 * case + (name == "3d")
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=coarse.shape), (0, 1 / step, 1 / step))
    return np.clip(0.15 + 0.7 * coarse + NOISE[name] * noise / noise.std(), 0.01, 0.99)


def record_of(case: int, name: str) -> CaseRecord:
    shape = probability_of(case, name).shape
    return example_record(
        STORED,
        case=CASES[case],
        reorientation=TURN,
        crop_lower=LOWER,
        crop_upper=UPPER,
        spacing=(3.0, float(STEP[name]), float(STEP[name])),
        shape=shape,
        present=(True, True),
    )


def make_selectable(path: Path, *, finished: dict[str, int] | None = None) -> RunFolder:
    """The run; of each configuration so many folds are finished, all unless said otherwise."""
    run = RunFolder(path)
    write_plan(run.plan, selectable_plan(), {})
    splits = tuple(
        Split(train=tuple(c for i, c in enumerate(CASES) if i % FOLDS != k), val=CASES[k::FOLDS]) for k in range(FOLDS)
    )
    write_splits(run.splits, splits)
    for name in STEP:
        for i, case in enumerate(CASES):
            stored = np.ascontiguousarray(TURN.undo(LABELS.to_values(truth_of(i))))
            write_image(run.case(name, case) / "reference.nii.gz", Image(stored[None], STORED))
            (run.case(name, case) / "case.json").write_text(record_of(i, name).model_dump_json(), encoding="utf-8")
        for fold in range((finished or {}).get(name, FOLDS)):
            finish(run, name, fold, splits[fold])
    return run


def finish(run: RunFolder, name: str, fold: int, split: Split) -> None:
    """What a fold leaves when it has ended."""
    for case in split.val:
        probability = probability_of(CASES.index(case), name)
        record = record_of(CASES.index(case), name)
        write_probabilities(run.probabilities(name), record, np.stack([1 - probability, probability]))
        label = np.zeros(TURN.apply_to_geometry(STORED).shape, np.uint8)
        zoomed = ndimage.zoom(probability, (1, STEP[name], STEP[name]), order=1, mode="nearest", grid_mode=True)
        label[CROP] = 5 * (zoomed > 0.5)
        write_image(run.cross_validation(name) / f"{case}.nii.gz", Image(TURN.undo(label)[None], STORED))
    run.weights(name, fold).parent.mkdir(parents=True, exist_ok=True)
    run.weights(name, fold).touch()
    dice = {case: [0.5] for case in split.val}
    write_finished(run, name, fold, finished_fold(fold, split, dice=dice, classes=LABELS.foreground))
