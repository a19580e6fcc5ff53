"""Measures peak memory and time of preprocessing one large, synthetic CT.

By default it has 512 x 512 x 800 voxels, which must be possible on a machine with 16 GiB. Run it as
`python -m benchmarks.memory_preprocess [--shape 800 512 512]`. Beside the peak it prints autoseg's estimate, which
decides how many cases are preprocessed at the same time.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from autoseg.dataset.case import Case, Dataset
from autoseg.image.geometry import Geometry
from autoseg.image.image import Image, write_image
from autoseg.plan.plan import ForegroundIntensity
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.preprocessed_case import read_record
from benchmarks.process import own_peak_bytes
from planner.preprocess import bytes_needed, grid_of, preprocess_dataset
from tests.example_plan import LABELS, example_channel, example_plan, with_configuration

AXES = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
FOREGROUND = ForegroundIntensity(mean=80.0, sd=40.0, median=85.0, percentile_00_5=-50.0, percentile_99_5=220.0)


def write_ct(folder: Path, shape: tuple[int, int, int]) -> Case:
    """Write a noisy body with two organs as an int16 image and a uint8 label (z, y, x)."""
    z, y, x = np.ogrid[tuple(slice(-1, 1, complex(n)) for n in shape)]
    label = np.zeros(shape, np.uint8)
    label[(z**2 + (2 * y) ** 2 + (2 * x - 0.5) ** 2) < 0.5] = 1
    label[((2 * z) ** 2 + (2 * y) ** 2 + (2 * x + 0.7) ** 2) < 0.2] = 2
    image = np.full(shape, -1000, np.int16)
    noise = np.random.default_rng(0).normal(0, 20, shape[1:]).astype(np.int16)
    body = (y**2 + x**2 < 0.8)[0]
    for plane, classes in zip(image, label, strict=True):
        plane[body] = (40 + 50 * classes.astype(np.int16) + noise)[body]
    geometry = Geometry(shape, (1.0, 0.8, 0.8), (0.0, 0.0, 0.0), AXES)
    case = Case("large", (folder / "image.nii.gz",), folder / "label.nii.gz")
    write_image(folder / "image.nii.gz", Image(image[None], geometry))
    write_image(folder / "label.nii.gz", Image(label[None], geometry))
    return case


def preprocess(case: Case, spacing: tuple[float, float, float], run: RunFolder) -> None:
    dataset = Dataset("example", "nnunet", ("CT",), (True,), LABELS, (case,))
    ct = example_channel("CT", normalization="ct", foreground=FOREGROUND)
    settings = with_configuration(example_plan(channels=(ct,)), spacing=spacing)
    start = time.perf_counter()
    preprocess_dataset(dataset, settings, "3d", run, workers=1)
    seconds = time.perf_counter() - start
    peak = own_peak_bytes()
    shape = read_record(run.case("3d", case.name)).shape
    estimate = bytes_needed(grid_of(case, settings), settings, "3d")
    print(f"{shape}: {seconds:.0f} s, peak {peak / 2**30:.2f} GiB, estimated {estimate / 2**30:.2f} GiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", type=int, nargs=3, default=(800, 512, 512), help="voxels z y x")
    parser.add_argument("--spacing", type=float, nargs=3, default=(1.0, 0.8, 0.8), help="mm z y x of the plan")
    parser.add_argument("--folder", type=Path, help="holds the case, which is written there if absent")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch)
        case = Case("large", (folder / "image.nii.gz",), folder / "label.nii.gz")
        if not (folder / "label.nii.gz").exists():
            # another process writes the case, so that its memory is not counted
            from concurrent.futures import ProcessPoolExecutor

            with ProcessPoolExecutor(1) as pool:
                pool.submit(write_ct, folder, tuple(arguments.shape)).result()
        preprocess(case, tuple(arguments.spacing), RunFolder(Path(scratch) / "run"))


if __name__ == "__main__":
    main()
