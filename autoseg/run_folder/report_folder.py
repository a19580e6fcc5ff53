"""The folder that the report of a configuration is in."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from autoseg.files import read_utf8
from autoseg.run_folder.paths import RunFolder


class _Reported(BaseModel):
    """The field of `summary.json` that tells which configuration `report/` is of; other fields are ignored."""

    model_config = ConfigDict(extra="ignore")

    configuration: str | None = None


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
    try:
        first = _Reported.model_validate_json(read_utf8(run.report / "summary.json")).configuration
    except (FileNotFoundError, ValidationError):
        first = None
    return run.report if first in (None, configuration) else run.report / configuration
