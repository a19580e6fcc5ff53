"""What is said of a folder of predictions that units of work make: how many are there, and which to check first."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from rich.console import Console

from autoseg.errors import AutosegError
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.predictions_folder import PredictionsFolder
from autoseg.work.prediction_units import Predicted


def say_predicted(console: Console, folder: PredictionsFolder) -> None:
    """Print how many images are predicted, and which should be checked first, as `autoseg predict` does at its end.

    Raises:
        RunFolderError: what was asked for is malformed.
    """
    predicted = Predicted(folder)
    count = len(predicted.request.cases)
    done = predicted.cases.intersection(case.name for case in predicted.request.cases)
    console.print(f"{len(done):,} of {count:,} {'image is' if count == 1 else 'images are'} predicted in {folder.path}")
    if not done:
        return
    # imported here, since these modules import libraries that take seconds to load
    from autoseg.dataset.fingerprint import read_fingerprint
    from inference.measurements.check_order import tell_order

    # the models may have been moved away since
    with suppress(AutosegError, OSError):
        fingerprint = read_fingerprint(RunFolder(Path(predicted.request.options.run)).fingerprint)
        tell_order(folder.path, done, fingerprint, console)
