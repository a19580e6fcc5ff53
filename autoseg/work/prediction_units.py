"""The units of work of a folder of predictions, and how far each is, from the files in the folder alone.

A part is done once each of its cases is predicted with the models and the options that were asked for. So what other
parts have predicted in its place counts, and so do predictions that a person started by hand meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from autoseg.disk.csv_files import MOST_BYTES
from autoseg.disk.text_files import TextRefused, read_bounded
from autoseg.run_folder.predictions_folder import PredictionsFolder
from autoseg.work.prediction_request import PredictionRequest, read_prediction_request
from autoseg.work.request import MOST_PARTS
from autoseg.work.unit import Needs, Unit

EVALUATE = "evaluate"

MEASUREMENTS = "measurements.csv"
"""Table of the predictions, which changes with each of them."""


def units_of_request(request: PredictionRequest) -> tuple[Unit, ...]:
    """Return the units of work of what was asked for, each after those that it waits for."""
    needs = request.needs.as_needs()
    parts = tuple(predict_unit(part, request.parts) for part in range(request.parts))
    units = [Unit(name, "predict", needs, ()) for name in parts]
    if request.labels is not None:
        units.append(Unit(EVALUATE, "evaluate", Needs(needs.cores, None, 0, None), parts))
    return tuple(units)


def predict_unit(part: int, parts: int) -> str:
    """Name of the unit that predicts a part of the cases."""
    assert parts <= MOST_PARTS
    return f"predict-{part}of{parts}"


def predicted_by(unit: Unit) -> tuple[int, int]:
    """Number of the part, from 0, and number of parts of a unit that predicts."""
    part, _, parts = unit.name.removeprefix("predict-").partition("of")
    return int(part), int(parts)


class Predicted:
    """What is predicted in a folder; it is read once.

    Args:
        folder: folder of the predictions.
        request: what is asked for; None = as the folder says.
        again: names of cases that count as not predicted.
    """

    def __init__(
        self, folder: PredictionsFolder, request: PredictionRequest | None = None, again: Collection[str] = ()
    ) -> None:
        self.request = request or read_prediction_request(folder)
        self.cases = predicted_cases(folder, self.request).difference(again)

    def is_done(self, part: int) -> bool:
        """Whether each case of a part is predicted."""
        return self.cases.issuperset(self.request.names_of(part))

    def left_of(self, part: int) -> Sequence[str]:
        """Names of the cases of a part that are not predicted."""
        return [name for name in self.request.names_of(part) if name not in self.cases]


def predicted_cases(folder: PredictionsFolder, request: PredictionRequest) -> frozenset[str]:
    """Names of the cases that are predicted with the models and options of a request, and whose files are there."""
    # imports libraries that read images
    from inference.lasting_marks import lasting_cases

    if not (folder.path / MEASUREMENTS).exists():
        return frozenset()
    names = frozenset(case.name for case in request.cases)
    return lasting_cases(folder.path, request.made_from) & _names_there(folder, names)


def evaluated_from(folder: PredictionsFolder, request: PredictionRequest | None = None) -> bytes | None:
    """What an evaluation works from: the references' folder, and the table that each prediction changes.

    Args:
        folder: folder of the predictions.
        request: what is asked for; None = as the folder says.
    """
    try:
        table = read_bounded(folder.path / MEASUREMENTS, MOST_BYTES)
    except (OSError, TextRefused):
        return None
    return f"{(request or read_prediction_request(folder)).labels}\n".encode() + table


def _names_there(folder: PredictionsFolder, names: Collection[str]) -> frozenset[str]:
    """Of some names those of which there is a file; a name may have points, and an ending too.

    Where one name begins another, as `a` and `a.b`, the file `a.b.nii.gz` is that of the longer one.
    """
    found = set[str]()
    for path in folder.path.iterdir():
        parts = path.name.split(".")
        before_a_point = (".".join(parts[:count]) for count in range(len(parts) - 1, 0, -1))
        found.update([name for name in before_a_point if name in names][:1])
    return frozenset(found)
