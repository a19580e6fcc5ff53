"""The folder that the report of a configuration is in, and what else is read of it without the whole of it."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from autoseg.files import read_utf8
from autoseg.run_folder.paths import RunFolder


class _Reported(BaseModel):
    """The fields of `summary.json` that tell which configuration it is of, and how good; others are ignored."""

    model_config = ConfigDict(extra="ignore")

    configuration: str | None = None
    mean_dice: float | None = None


def report_folder(run: RunFolder, configuration: str) -> Path:
    """Return the folder that a configuration's report is written to and read from.

    `report/` belongs to the configuration that was reported on first, which its `summary.json` names. Every other
    configuration has `report/CONFIG/`, so that no report overwrites another.

    Args:
        run: RUN folder that holds the reports.
        configuration: name of the configuration.

    Raises:
        RunFolderError: `report/summary.json` cannot be read, or is too large.
    """
    first = _reported(run.report).configuration
    return run.report if first in (None, configuration) else run.report / configuration


def reported_mean_dice(run: RunFolder, configuration: str) -> float | None:
    """Return the mean Dice that a configuration's report tells; None where there is no report.

    Args:
        run: RUN folder that holds the reports.
        configuration: name of the configuration.

    Raises:
        RunFolderError: a `summary.json` cannot be read, or is too large.
    """
    found = _reported(report_folder(run, configuration))
    return found.mean_dice if found.configuration == configuration else None


def _reported(folder: Path) -> _Reported:
    """What `summary.json` in a folder tells; nothing where there is none, or a malformed one."""
    try:
        return _Reported.model_validate_json(read_utf8(folder / "summary.json"))
    except (FileNotFoundError, ValidationError):
        return _Reported()
