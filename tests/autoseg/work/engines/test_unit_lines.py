"""Lines of units that run on any machine, and how far they are, from the files in RUN."""

import io

from rich.console import Console

from autoseg.run_folder.lock import locked
from autoseg.run_folder.paths import RunFolder
from autoseg.terminal import FoldLines, FoldProgress
from autoseg.work.engines import unit_lines
from autoseg.work.engines.unit_lines import Running, RunningInRun, UnitLines
from autoseg.work.unit import Needs, Unit

UNITS = tuple(Unit(f"train-3d-fold_{fold}", "train", Needs(1, None, 0, None), ()) for fold in (0, 1))


def test_units_that_run_have_a_line_and_those_that_ended_have_none(monkeypatch) -> None:
    monkeypatch.setattr(unit_lines, "SECONDS_BETWEEN_LOOKS", 0.0)
    monkeypatch.setattr(unit_lines, "LARGEST_SHARE", 1e9)
    lines = FoldLines(console := Console(file=io.StringIO(), width=150, force_terminal=True))
    seen = {UNITS[0].name: Running("process 7 on ws2", FoldProgress(40, 80, "0.5", "0.25", "training"))}
    shown = UnitLines(lines, lambda placed: dict(seen))
    shown.show(UNITS)
    console.print(lines._bars.get_renderable())
    assert "train-3d-fold_0, process 7 on ws2" in console.file.getvalue() and "step 40/80" in console.file.getvalue()
    assert UNITS[1].name not in console.file.getvalue()
    seen.clear()
    shown.show(UNITS)
    assert lines._bars.tasks == []


def test_looking_takes_a_small_share_of_the_time() -> None:
    looks = []
    shown = UnitLines(FoldLines(Console(file=io.StringIO())), lambda placed: looks.append(1) or {})
    for _ in range(5):
        shown.show(UNITS)
    assert len(looks) == 1


def test_a_unit_runs_whose_lock_is_held(tmp_path) -> None:
    run = RunFolder(tmp_path)
    run.work.mkdir()
    run.request.write_text('{"dataset": null, "configurations": ["3d"], "folds": 2}', encoding="utf-8")
    look = RunningInRun(run)
    assert look(UNITS) == {}
    with locked(run.work / UNITS[1].name, "training"):
        assert list(look(UNITS)) == [UNITS[1].name] and "process" in look(UNITS)[UNITS[1].name].where


def test_a_plan_that_is_being_edited_stops_no_display(tmp_path) -> None:
    run = RunFolder(tmp_path)
    run.plan.write_text("schema_version: [", encoding="utf-8")
    waits = Unit("report-3d", "report", Needs(1, None, 0, None), ("plan",))
    assert RunningInRun(run)([waits]) == {}
