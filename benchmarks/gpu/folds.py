"""(g) All five folds within a time budget: Dice of cross-validation, of hippocampi or of synthetic spines."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import autoseg
from autoseg.machine.device import resolve_device
from autoseg.run_folder.paths import RunFolder
from benchmarks.gpu.__main__ import Answers

BUDGET, SHORT = "60s", "25s"


def measure(device: str, data: Path | None, answers: Answers) -> None:
    budget = BUDGET if resolve_device(device).type == "cuda" else SHORT
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        if data is None:
            data = place / "synthetic_spine"
            autoseg.phantom(data, cases=10)
        run = RunFolder(place / "run")
        autoseg.run(data, run.path, time_budget=budget, device=device, no_select=True)
        summary = json.loads((run.cross_validation("3d") / "summary.json").read_text())
    answers["data"] = data.name
    answers["budget"] = budget
    answers["mean Dice"] = summary.get("mean_dice", summary)
