"""The choice at the end of a run: what ends it, and what does not."""

import io
import signal

import pytest
from rich.console import Console

from autoseg.commands import select as command
from autoseg.machine.stop_answer import StopAsked
from autoseg.run_folder.paths import RunFolder
from tests.stopped_in_c import at_work, translate


def test_a_stop_is_no_defect_of_the_choice(tmp_path, monkeypatch) -> None:
    console = Console(file=io.StringIO())
    monkeypatch.setattr(command, "make_selection", lambda *_, **__: translate(signal.SIGTERM))
    with at_work(), pytest.raises(StopAsked):
        command.select_at_end(RunFolder(tmp_path), [], 0, console, threads=1)
    assert console.file.getvalue() == ""


def test_without_one_it_is_told_and_the_run_goes_on(tmp_path, monkeypatch) -> None:
    console = Console(file=io.StringIO())
    monkeypatch.setattr(command, "make_selection", lambda *_, **__: translate(0))
    command.select_at_end(RunFolder(tmp_path), [], 0, console, threads=1)
    assert "this is a defect of autoseg" in console.file.getvalue()
