"""A command whose output nobody reads any more ends quietly."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cyclopts import App

from autoseg.commands.exit_status import run_command

ROOT = Path(__file__).parents[3]

COMMAND = """
import sys
from cyclopts import App
from autoseg.commands.exit_status import run_command
from autoseg.terminal import open_console

def work():
    for number in range({lines}):
        {printed}

app = App(help_format="plaintext")
app.command(work)
sys.exit(run_command(app, [{asked!r}]))
"""


@pytest.mark.parametrize(
    ("asked", "lines", "printed"),
    [
        ("work", 1, "print(number)"),
        ("work", 50_000, "print(number)"),
        ("work", 2, "open_console().print(str(number))"),
        ("--help", 0, "pass"),
    ],
)
def test_a_closed_pipe_ends_a_command_quietly(asked: str, lines: int, printed: str) -> None:
    reader, writer = os.pipe()
    # as where `head` has what it wants
    os.close(reader)
    code = [sys.executable, "-c", COMMAND.format(asked=asked, printed=printed, lines=lines)]
    try:
        ended = subprocess.run(code, stdout=writer, stderr=subprocess.PIPE, encoding="utf-8", cwd=ROOT, timeout=300)
    finally:
        os.close(writer)
    assert (ended.returncode, ended.stderr) == (141, "")


def test_a_pipe_between_processes_that_breaks_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    app = App()
    app.command(work)
    assert run_command(app, ["work"]) == 2
    assert "Broken pipe" in capfd.readouterr().err
