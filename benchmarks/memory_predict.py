"""Measures peak memory and time of predicting one large image, from file to file.

The image has 512 x 512 x 300 voxels and 25 classes, and the plan is twice as coarse in plane. The network is
very small, so that its own memory and time hardly count. The whole process must stay under 4 GiB.
Run it as `python -m benchmarks.memory_predict`.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from autoseg.dataset.case import Case
from autoseg.dataset.fingerprint import Fingerprint, write_fingerprint
from autoseg.image.geometry import Geometry
from autoseg.image.image import Image, write_image
from autoseg.network.build import build_network
from autoseg.network.weights import save_weights
from autoseg.plan.plan import ForegroundIntensity, Plan, write_plan
from autoseg.run_folder.paths import RunFolder
from benchmarks.made_data import STRAIGHT, fingerprint_of_equal_cases
from benchmarks.process import own_peak_bytes
from inference.predict import predict_cases
from planner.rules.reference_plan import reference_plan

CLASSES = 25
SHAPE = (300, 512, 512)
SPACING = (1.0, 0.7, 0.7)
LIMIT_GIB = 4.0
GIB = 2**30


def plan_and_fingerprint() -> tuple[Plan, Fingerprint]:
    """A plan at half the image's resolution in plane, with two features in each network stage, and its fingerprint."""
    fingerprint = fingerprint_of_equal_cases(
        "large",
        SHAPE,
        SPACING,
        cases="ab",
        channels=("CT",),
        foreground=[f"class {k}" for k in range(1, CLASSES)],
        volume_mm3=1e4,
        intensity=ForegroundIntensity(mean=100, sd=30, median=100, percentile_00_5=0, percentile_99_5=200),
        modality="ct",
    )
    plan = reference_plan(fingerprint).plan
    full = plan.configurations["3d"]
    network = full.network.changed(features=(2,) * len(full.network.features))
    coarse = full.changed(spacing=(1.0, 1.4, 1.4), network=network, prediction=full.prediction.changed(mirror=()))
    return plan.changed(configurations={"3d": coarse}), fingerprint


def large_image() -> Image:
    """A large image (1, z, y, x) of noise."""
    voxels = np.random.default_rng(0).integers(0, 200, SHAPE, dtype=np.int16)
    return Image(voxels[None], Geometry(SHAPE, SPACING, (0.0, 0.0, 0.0), STRAIGHT))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder(Path(folder) / "run")
        plan, fingerprint = plan_and_fingerprint()
        write_plan(run.plan, plan, {})
        write_fingerprint(run.fingerprint, fingerprint)
        network = build_network(plan.configurations["3d"].network, 1, CLASSES)
        save_weights(run.weights("3d", 0), network.state_dict())
        image = Path(folder) / "large.nii.gz"
        write_image(image, large_image())
        print(f"before: peak {own_peak_bytes() / GIB:.2f} GiB")
        start = time.perf_counter()
        problems = predict_cases(run, [Case("large", (image,))], Path(folder) / "out", configuration="3d", device="cpu")
        peak = own_peak_bytes() / GIB
        print(f"predicted in {time.perf_counter() - start:.0f} s, peak {peak:.2f} GiB, limit {LIMIT_GIB} GiB")
    if problems or peak > LIMIT_GIB:
        sys.exit("; ".join(problems) or "more memory than promised")


if __name__ == "__main__":
    main()
