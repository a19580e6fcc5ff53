"""States grid, noise and contrasts of a phantom in numbers; they are written beside its images.

Signals are given as a share of normal marrow's signal, since a reader compares a lesion with marrow.
"""

from __future__ import annotations

from typing import Literal

from autoseg.files import FileModel
from autoseg.synthetic_spine.foci import SIGNALS
from autoseg.synthetic_spine.kinds import KINDS
from autoseg.synthetic_spine.mr_signal import NOISE, SEQUENCES, TISSUES

Range = tuple[float, float]


class Statement(FileModel):
    """The field `phantom` of the data set's `dataset.json`.

    Args:
        kind: kind of the phantom, a key of `KINDS`.
        seed: random seed of the phantom.
        missing: share of the cases that lack each sequence; None = every fourth case lacks one sequence.
        shape: number of voxels (z, y, x).
        spacing_mm: smallest and largest spacing in mm along (z, y, x).
        marrow_to_noise: for each sequence, signal of normal marrow divided by the noise's standard deviation.
        contrasts: for each kind of focus and each sequence, signal divided by that of normal marrow.
    """

    schema_version: Literal[1] = 1
    kind: str
    seed: int
    missing: float | None
    shape: tuple[int, int, int]
    spacing_mm: tuple[Range, Range, Range]
    marrow_to_noise: dict[str, Range]
    contrasts: dict[str, dict[str, Range]]

    def text(self) -> str:
        """The statement in words, with a table of the contrasts."""
        z, y, _ = self.spacing_mm
        slices, rows, columns = self.shape
        noise = ", ".join(f"{name} {_words(of, 0)}" for name, of in self.marrow_to_noise.items())
        missing = (
            "every fourth case lacks one sequence"
            if self.missing is None
            else f"each sequence is missing from {self.missing:.0%} of the cases"
        )
        lines = [
            f"Kind: {self.kind}. Missing: {missing}.",
            f"Voxels: {slices} slices of {_words(z)} mm, {rows} x {columns} voxels of {_words(y)} mm.",
            f"Noise: Rician; normal marrow over its standard deviation: {noise}.",
            "Signal over that of normal marrow, lowest to highest:",
            "",
            "".join(["".ljust(20), *(name.ljust(14) for name in self.marrow_to_noise)]).rstrip(),
        ]
        for focus, of_focus in self.contrasts.items():
            lines.append("".join([focus.ljust(20), *(_words(of).ljust(14) for of in of_focus.values())]).rstrip())
        return "\n".join(lines)


def state(kind: str, seed: int, missing: float | None, shape: tuple[int, int, int]) -> Statement:
    """The statement of the phantom that `make_phantom` draws with these arguments."""
    planned = KINDS[kind]
    thickness = [mm * planned.shape[0] / shape[0] for mm in planned.thickness]
    in_plane = [mm * planned.shape[1] / shape[1] for mm in planned.in_plane]
    marrow = dict(zip(SEQUENCES, TISSUES["marrow"], strict=True))
    quiet, loud = NOISE
    return Statement(
        kind=kind,
        seed=seed,
        missing=missing,
        shape=shape,
        spacing_mm=(_range(thickness), _range(in_plane), _range(in_plane)),
        marrow_to_noise={name: _range([signal / loud, signal / quiet]) for name, signal in marrow.items()},
        contrasts={
            focus: {
                name: _range([bound / marrow[name] for bound in bounds])
                for name, bounds in zip(SEQUENCES, signals, strict=True)
            }
            for focus, signals in SIGNALS.items()
        },
    )


def _range(values: list[float]) -> Range:
    return round(min(values), 3), round(max(values), 3)


def _words(of: Range, digits: int = 2) -> str:
    return f"{of[0]:.{digits}f} to {of[1]:.{digits}f}"
