"""A data set of a few small cases in nnU-Net's layout, drawn from a seed."""

import json
from pathlib import Path

import numpy as np

from autoseg.image.geometry import Geometry
from autoseg.image.image import Image, write_image

SHAPE = (20, 24, 28)


def geometry(shape=SHAPE) -> Geometry:
    return Geometry(shape, (1.5, 1.0, 1.0), (10.0, -20.0, 5.0), ((0, 0, 1), (0, 1, 0), (1, 0, 0)))


def draw_case(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Image and label (z, y, x): a bright ball on noise."""
    rng = np.random.default_rng(seed)
    centre = np.array(SHAPE) / 2 + rng.uniform(-3, 3, 3)
    distance = np.sqrt(sum((axis - c) ** 2 for axis, c in zip(np.indices(SHAPE), centre, strict=True)))
    label = (distance < rng.uniform(4, 6)).astype(np.uint8)
    return (rng.normal(100, 10, SHAPE) + 80 * label).astype(np.float32), label


def make_dataset(folder: Path, cases: int = 5) -> Path:
    """Write the data set; its `imagesTs` holds a file that no image reader can read."""
    for i in range(cases):
        image, label = draw_case(i)
        write_image(folder / "imagesTr" / f"ball_{i}_0000.nii.gz", Image(image[None], geometry()))
        write_image(folder / "labelsTr" / f"ball_{i}.nii.gz", Image(label[None], geometry()))
    (folder / "imagesTs").mkdir()
    (folder / "imagesTs" / "secret_0000.nii.gz").write_bytes(b"not an image")
    describe(folder, cases)
    return folder


def describe(folder: Path, cases: int) -> None:
    """Write the `dataset.json` of a data set of one sequence and one class."""
    declared = {
        "name": "Balls",
        "channel_names": {"0": "T1"},
        "labels": {"background": 0, "ball": 1},
        "numTraining": cases,
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(declared), encoding="utf-8")
