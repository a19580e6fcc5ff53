"""What `autoseg.run`, `train` and `predict` return; `evaluate`, `select` and `study` return what they write.

All of them are tables in a notebook, and have `to_frame()`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from autoseg.errors import PartialFailure
from autoseg.notebook import ShownAsTable
from autoseg.plan.plan import read_plan
from autoseg.run_folder.finished_fold import Finished
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.selection import Selection, read_selection

if TYPE_CHECKING:
    from pandas import DataFrame

    # this module imports libraries that take seconds to load
    from autoseg.metrics.summary import Summary

LABEL_MAP = "label map"
"""Kind of a written file that is a predicted label map, or a segmentation in another format."""


@dataclass(frozen=True)
class WrittenFile:
    """A file that a prediction wrote.

    Args:
        case: name of the case; empty for a table of all cases.
        kind: what the file is, such as `label map`.
        path: path of the file.
    """

    case: str
    kind: str
    path: Path


@dataclass(frozen=True)
class Predictions(ShownAsTable):
    """The files that `autoseg.predict` wrote.

    Args:
        folder: folder that holds them.
        written: each file, with its case and what it is.
    """

    folder: Path
    written: tuple[WrittenFile, ...] = field(repr=False)

    @property
    def files(self) -> tuple[Path, ...]:
        """Paths of all files."""
        return tuple(one.path for one in self.written)

    @property
    def label_maps(self) -> dict[str, Path]:
        """Path of the label map of each case, by the case's name."""
        return {one.case: one.path for one in self.written if one.kind == LABEL_MAP}

    @property
    def heading(self) -> str:
        """How many cases are predicted, and where."""
        return f"{len(self.label_maps)} predicted in {self.folder}"

    def to_frame(self) -> DataFrame:
        """Return a row for each file: `case`, `kind` and `file`."""
        from pandas import DataFrame

        rows = [(one.case, one.kind, str(one.path)) for one in self.written]
        return DataFrame(rows, columns=["case", "kind", "file"])


class IncompletePrediction(PartialFailure):
    """Some inputs could not be predicted; the others were.

    Args:
        problems: a sentence for each that could not be, with its name.
        inputs: number of all inputs.
        predictions: the files that were written.
    """

    def __init__(self, problems: Sequence[str], inputs: int, predictions: Predictions) -> None:
        self.problems, self.inputs, self.predictions = tuple(problems), inputs, predictions
        listed = "\n".join(dict.fromkeys(problems))
        count = f"{len(problems)} of {inputs} could not be predicted"
        self.brief = f"{count}; the lines `not predicted` above say which, and why"
        super().__init__(f"{count}:\n{listed}")

    def __reduce__(self) -> tuple[type[IncompletePrediction], tuple[tuple[str, ...], int, Predictions]]:
        # it is rebuilt from its parts, not from the joined message
        return type(self), (self.problems, self.inputs, self.predictions)


@dataclass(frozen=True)
class TrainedFold:
    """A finished fold.

    Args:
        configuration: name of the configuration.
        fold: number of the fold, from 0.
        finished: content of its `finished.json`.
    """

    configuration: str
    fold: int
    finished: Finished

    @property
    def dice(self) -> dict[str, float | None]:
        """Mean Dice of each class over the validation cases in which it is defined; None where there are none."""
        by_class = {}
        for index, name in enumerate(self.finished.classes):
            of_class = [of_case[index] for of_case in self.finished.dice.values()]
            defined = [dice for dice in of_class if dice is not None]
            by_class[name] = mean(defined) if defined else None
        return by_class


@dataclass(frozen=True)
class TrainingResults(ShownAsTable):
    """What `autoseg.train` found.

    Args:
        run: RUN folder that holds the trained folds.
        folds: each finished fold that was asked for.
        reports: summary of each configuration whose folds are all finished, by its name.
    """

    run: RunFolder
    folds: tuple[TrainedFold, ...] = field(repr=False)
    reports: Mapping[str, Summary] = field(repr=False)

    @property
    def heading(self) -> str:
        """How many folds are finished, and where."""
        return f"{len(self.folds)} finished folds in {self.run.path}; Dice is the mean over their validation cases"

    def to_frame(self) -> DataFrame:
        """Return a row for each fold: `configuration`, `fold`, `cases`, `steps`, `seconds`, and `dice CLASS`."""
        from pandas import DataFrame

        rows = [
            {
                "configuration": one.configuration,
                "fold": one.fold,
                "cases": len(one.finished.dice),
                "steps": one.finished.steps,
                "seconds": one.finished.seconds_training,
            }
            | {f"dice {name}": dice for name, dice in one.dice.items()}
            for one in self.folds
        ]
        return DataFrame(rows)


@dataclass(frozen=True)
class RunResults(ShownAsTable):
    """What `autoseg.run` found.

    Args:
        run: RUN folder that holds folds and reports.
        reports: summary of the cross-validation of each configuration whose folds are all finished, by its name.
    """

    run: RunFolder
    reports: Mapping[str, Summary] = field(repr=False)

    @property
    def selection(self) -> Selection | None:
        """What `predict` applies, as the RUN folder now has it; None where nothing is selected.

        Raises:
            RunFolderError: `selected.json` is malformed.
        """
        return read_selection(self.run, read_plan(self.run.plan))

    @property
    def heading(self) -> str:
        """Where the results are, and whether the images are synthetic."""
        synthetic = any(summary.synthetic for summary in self.reports.values())
        told = "; the images are synthetic: these numbers say nothing about patients" if synthetic else ""
        return f"{self.run.path}, cross-validated{told}"

    def to_frame(self) -> DataFrame:
        """Return a row for each configuration and class: `configuration`, and the columns of `Summary.to_frame`."""
        from pandas import DataFrame, concat

        frames = []
        for name, summary in self.reports.items():
            frame = summary.to_frame()
            frame.insert(0, "configuration", name)
            frames.append(frame)
        return concat(frames, ignore_index=True) if frames else DataFrame()
