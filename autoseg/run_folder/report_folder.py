"""Which folder the report of a configuration is in."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from autoseg.run_folder.paths import RunFolder


class _Reported(BaseModel):
    """What tells whose report `report/` is; other fields of `summary.json` are the evaluation's own."""

    model_config = ConfigDict(extra="ignore")

    configuration: str | None = None


def report_folder(run: RunFolder, configuration: str) -> Path:
    """Where a configuration's report goes.

    `report/` belongs to the configuration that was reported on first, as its `summary.json` says;
    any other one has `report/CONFIG/`, so that none overwrites another's.
    """
    try:
        text = (run.report / "summary.json").read_text(encoding="utf-8")
        first = _Reported.model_validate_json(text).configuration
    except (FileNotFoundError, ValidationError):
        first = None
    return run.report if first in (None, configuration) else run.report / configuration
