"""Measures peak memory and time of exporting one large prediction.

The image has 512 x 512 x 300 voxels and 25 classes, and the plan is twice as coarse in plane: probabilities
(25, 300, 256, 256) in float16 become a label map of the image. The whole process must stay
under 4 GiB. Run it as `python -m benchmarks.memory_export`.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from autoseg.image.geometry import IDENTITY, Geometry
from autoseg.image.image import write_image
from autoseg.image.labels import Labels
from autoseg.run_folder.preprocessed_case import CaseRecord
from autoseg.whole_image.export import export_labels
from benchmarks.process import own_peak_bytes

CLASSES = 25
AXES = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
LIMIT_GIB = 4.0
GIB = 2**30


def organs(shape: tuple[int, int, int], classes: int = CLASSES) -> np.ndarray:
    """Probabilities (class, z, y, x) in float16 of one ball with soft edges for each class, in a background."""
    probabilities = np.zeros((classes, *shape), np.float16)
    probabilities[0] = 1
    rng = np.random.default_rng(0)
    for index in range(1, classes):
        radius = int(rng.integers(8, min(40, min(shape) // 2)))
        centre = [int(rng.integers(radius, n - radius)) for n in shape]
        z, y, x = np.ogrid[-radius:radius, -radius:radius, -radius:radius]
        ball = np.clip((radius - np.sqrt(z**2 + y**2 + x**2)) / 4, 0, 1).astype(np.float16)
        box = tuple(slice(c - radius, c + radius) for c in centre)
        for one in probabilities:
            one[box] *= 1 - ball
        probabilities[index][box] += ball
    return probabilities


def main() -> None:
    stored = Geometry((300, 512, 512), (1.0, 0.7, 0.7), (0.0, 0.0, 0.0), AXES)
    record = CaseRecord(
        case="large",
        stored=stored,
        reorientation=IDENTITY,
        crop_lower=(0, 0, 0),
        crop_upper=stored.shape,
        spacing=(1.0, 1.4, 1.4),
        shape=(300, 256, 256),
        present=(True,),
    )
    labels = Labels(values=tuple(range(CLASSES)), names=tuple(f"class {k}" for k in range(CLASSES)))
    probabilities = organs(record.shape)
    print(f"probabilities: {probabilities.nbytes / GIB:.2f} GiB, peak so far {own_peak_bytes() / GIB:.2f} GiB")
    start = time.perf_counter()
    image = export_labels(probabilities, record, labels)
    print(f"export: {time.perf_counter() - start:.1f} s, peak {own_peak_bytes() / GIB:.2f} GiB")
    with tempfile.TemporaryDirectory() as folder:
        write_image(Path(folder) / "large.nii.gz", image)
    print(f"written: {time.perf_counter() - start:.1f} s, peak {own_peak_bytes() / GIB:.2f} GiB, limit {LIMIT_GIB} GiB")
    if own_peak_bytes() / GIB > LIMIT_GIB:
        sys.exit("more memory than promised")


if __name__ == "__main__":
    main()
