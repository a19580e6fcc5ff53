"""A tiny data set of bright balls and a finished RUN on it, made once and copied for each attempt."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autoseg.disk.checksums import SEAL
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import Split, write_splits
from tests.autoseg.dataset import build
from tests.torture.commands import carry_out

SHAPE = (12, 16, 20)
CASES = tuple(f"case_{number}" for number in range(4))
SPLITS = (Split(train=CASES[:2], val=CASES[2:]), Split(train=CASES[2:], val=CASES[:2]))
FIXED = ("--threads", "1", "--epochs", "2")
"""Options with which no clock touches a bit of the result."""

OF_PLANNING = ("--config", "2d", "3d", "--time-budget", "60s", "--device", "cpu")
AFTER_TRAINING = ("models", "cross_validation", "report", "selected.json", "time_spent.json")
TIMED = ("seconds", "mtime", SEAL)
"""Parts of the names of fields that hold a time, or the checksum of a record with times."""


@dataclass(frozen=True)
class Made:
    """What every attempt is copied from.

    Args:
        folder: folder that holds all of it.
    """

    folder: Path

    @property
    def data(self) -> Path:
        """Raw data set."""
        return self.folder / "balls"

    @property
    def new(self) -> Path:
        """Folder of one new image."""
        return self.folder / "new"

    @property
    def run(self) -> RunFolder:
        """RUN folder of `2d` and `3d`, each with two finished folds, and their selection."""
        return RunFolder(self.folder / "RUN")

    def copied(self, target: Path, without: tuple[str, ...] = ()) -> RunFolder:
        """A copy of the RUN folder; what was at `target` is removed."""
        return copy_run(self.run, target, without)


def copy_run(run: RunFolder, target: Path, without: tuple[str, ...] = ()) -> RunFolder:
    """Copy a RUN folder without some of its files and folders; what was at `target` is removed."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(run.path, target, ignore=lambda folder, names: _left_out(run, folder, names, without))
    return RunFolder(target)


def _left_out(run: RunFolder, folder: str, names: list[str], without: tuple[str, ...]) -> set[str]:
    inside = Path(folder).relative_to(run.path)
    return {name for name in names if (inside / name).as_posix() in without}


def make_finished_run(folder: Path) -> Made:
    """Draw the data set, and plan, preprocess, train and select on it; what is there already is taken as it is."""
    made = Made(folder / "made")
    if not made.folder.exists():
        for seed, case in enumerate(CASES):
            images, label = draw_ball(seed)
            for channel, image in enumerate(images):
                build.write(made.data / "imagesTr" / f"{case}_{channel:04d}.nii.gz", image, spacing=(1.0, 1.0, 1.5))
            build.write(made.data / "labelsTr" / f"{case}.nii.gz", label, spacing=(1.0, 1.0, 1.5))
        declared = {"channel_names": {"0": "T1", "1": "STIR"}, "labels": {"background": 0, "ball": 1}}
        build.write_json(made.data / "dataset.json", {**declared, "numTraining": 4, "file_ending": ".nii.gz"})
        for channel, image in enumerate(draw_ball(9)[0]):
            build.write(made.new / f"new_{channel:04d}.nii.gz", image, spacing=(1.0, 1.0, 1.5))
        made.run.path.mkdir()
        write_splits(made.run.splits, SPLITS)
        _succeed(made, "run", made.data, "-o", made.run.path, *OF_PLANNING, *FIXED)
        _succeed(made, "select", made.run.path, "--threads", "1")
    return made


def _succeed(made: Made, *arguments: str | Path) -> None:
    ended = carry_out(*arguments, log=made.folder / "log.txt")
    if ended.status != 0:
        raise RuntimeError(f"{arguments[0]} ended with status {ended.status}: {ended.said}")


def draw_ball(seed: int) -> tuple[list[np.ndarray], np.ndarray]:
    """T1 and STIR, and the label (z, y, x) of a ball somewhere in them."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in SHAPE], indexing="ij"), -1)
    label = np.linalg.norm(grid - rng.uniform(4, np.array(SHAPE) - 4), axis=-1) < 3.5
    images = [200 + sign * 60 * label + rng.normal(0, 10, SHAPE) for sign in (1, -1)]
    return [image.astype(np.float32) for image in images], label.astype(np.uint8)


def contents(folder: Path, beginnings: tuple[str, ...] = ("",)) -> dict[str, str]:
    """Content of each file without recorded times, as a hash; that of pages and pictures is not compared.

    Args:
        folder: folder with files and folders.
        beginnings: beginnings of the paths in it that are looked at.
    """
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    chosen = {name: path for name, path in sorted(files.items()) if name.startswith(beginnings)}
    return {name: hashlib.sha256(without_times(path)).hexdigest()[:12] for name, path in chosen.items()}


def without_times(path: Path) -> bytes:
    """Content of a file without the times in it; the tries of units of work say when, and how often."""
    if path.suffix in (".html", ".png") or path.name == "time_spent.json" or path.parent.name == "work":
        return b""
    content = path.read_bytes()
    if path.suffix == ".json":
        return json.dumps(_without_timed_fields(json.loads(content))).encode()
    if path.name == "log.csv":
        rows = csv.DictReader(io.StringIO(content.decode()))
        return json.dumps([{k: v for k, v in row.items() if k not in TIMED} for row in rows]).encode()
    return content


def _without_timed_fields(value: object) -> object:
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if not any(part in k for part in TIMED)}
        return {k: _without_timed_fields(v) for k, v in kept.items()}
    return [_without_timed_fields(v) for v in value] if isinstance(value, list) else value


def differences(expected: dict[str, str], found: dict[str, str]) -> list[str]:
    """Names of files that are missing, too many or of another content, each with what it is."""
    missing = [f"{name} is missing" for name in expected.keys() - found.keys()]
    others = [f"{name} is left behind" for name in found.keys() - expected.keys()]
    changed = [f"{name} differs" for name in expected.keys() & found.keys() if expected[name] != found[name]]
    return sorted(missing + others + changed)
