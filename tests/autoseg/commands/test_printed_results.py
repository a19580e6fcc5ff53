"""The tables that a command ends with."""

import io
from pathlib import Path

import numpy as np
from rich.console import Console

from autoseg.commands.printed_results import print_results, report_if_finished
from autoseg.image.labels import Labels
from autoseg.metrics import case_metrics, summarize
from autoseg.run_folder.lock_holder import Watch
from autoseg.run_folder.paths import RunFolder

LABELS = Labels(values=(0, 1), names=("background", "lesion"))


def test_lesions_and_strata_are_told_with_the_cases_behind_them() -> None:
    label = np.zeros((3, 12, 12), np.uint8)
    label[1, 2:5, 2:5] = 1
    guess = label.copy()
    guess[1, 9, 9] = 1
    nothing = np.zeros_like(label)
    rows = [
        *case_metrics("a", label, guess, (1, 1, 1), LABELS, surfaces=False),
        *case_metrics("b", label, label, (1, 1, 1), LABELS, surfaces=False),
        *case_metrics("c", label, nothing, (1, 1, 1), LABELS, surfaces=False),
    ]
    strata = {"a": {"lesion_type": "lytic"}, "b": {"lesion_type": "lytic"}, "c": {"lesion_type": "sclerotic"}}
    out = io.StringIO()
    summary = summarize(rows, dataset="spines", strata=strata)
    print_results(Console(file=out, width=200), summary, Path("report"))
    lines = [line.split() for line in out.getvalue().replace("│", " ").splitlines()]
    # found of all, false (a case), F1 and F2: sensitivity 2/3, precision 2/3
    assert any("2 of 3 1 (0.33) 0.67, 0.67" in " ".join(line) for line in lines)
    lytic = next(" ".join(line) for line in lines if line[:2] == ["lytic", "2"])
    assert "2 of 2 1 (0.50) 0.80, 0.91" in lytic
    sclerotic = next(" ".join(line) for line in lines if line[:2] == ["sclerotic", "1"])
    assert "0 of 1 0 (0.00)" in sclerotic


def test_one_report_is_written_after_the_other(tmp_path: Path, monkeypatch) -> None:
    run, seen = RunFolder(tmp_path), []
    monkeypatch.setattr(RunFolder, "is_finished", lambda *_: True)

    def report(of: RunFolder, name: str, threads: int | None) -> None:
        seen.append(Watch().living(of.work / "reports"))

    monkeypatch.setattr("inference.evaluation.evaluate.report_run", report)
    report_if_finished(run, "3d", 2)
    # where two configurations end at once, the first report takes the folder `report`
    assert None not in seen and len(seen) == 1 and Watch().living(run.work / "reports") is None
