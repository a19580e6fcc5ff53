"""Draws pictures of a textured disc, and data sets of them."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (48, 64)


def disc(seed: int, *, colour: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """A picture (y, x[, colour]) of 8 bits, and the mask (y, x) of its disc."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices(SIZE)
    centre = rng.uniform(16, np.array(SIZE) - 16)
    mask = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < rng.uniform(8, 12) ** 2
    picture = rng.normal(100, 20, (*SIZE, 3))
    picture[mask] += (90, -40, 20)
    shown = np.clip(picture, 0, 255).astype(np.uint8)
    return (shown if colour else shown[..., 0]), mask


def save(path: Path, array: np.ndarray, **settings: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **settings)
    return path


def folder(path: Path, cases: int = 3, *, value: int = 255, colour: bool = True, **settings: object) -> Path:
    """A folder `images` and a folder `masks`, as most collections of pictures have them."""
    for i in range(cases):
        picture, mask = disc(i, colour=colour)
        save(path / "images" / f"p{i}.png", picture, **settings)
        save(path / "masks" / f"p{i}.png", mask.astype(np.uint8) * value)
    return path


def nnunet(path: Path, cases: int = 3, *, names: tuple[str, ...] = ("R", "G", "B"), ending: str = ".png") -> Path:
    """A data set in nnU-Net's layout, where a file holds all colours."""
    for i in range(cases):
        picture, mask = disc(i, colour=len(names) == 3)
        save(path / "imagesTr" / f"p{i}_0000{ending}", picture)
        save(path / "labelsTr" / f"p{i}{ending}", mask.astype(np.uint8))
    declared = {
        "channel_names": {str(i): name for i, name in enumerate(names)},
        "labels": {"background": 0, "disc": 1},
        "numTraining": cases,
        "file_ending": ending,
    }
    (path / "dataset.json").write_text(json.dumps(declared), encoding="utf-8")
    return path
