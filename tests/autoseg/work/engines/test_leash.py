"""A process on the leash: it stops when its parent wants it or dies, and is a plain autoseg otherwise."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[4]
LEASHED = [sys.executable, "-m", "autoseg.work.engines.leash"]
WAITS = """
import os, sys, time, runpy
def waits(*args, **kwargs):
    try:
        print(os.getpid(), os.read(0, 1) == b"", flush=True)
        time.sleep(900)
    except KeyboardInterrupt:
        print("saved", flush=True)
        sys.exit(75)
from autoseg.commands import exit_status
from autoseg.work.engines import leash
def run(module, run_name):
    import signal
    def ask(number, frame):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, ask)
    waits()
leash.runpy.run_module = run
leash.main()
"""
"""A stand-in for autoseg: it says that its own standard input is empty, and answers SIGTERM by saving its state."""

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdin=subprocess.PIPE)
time.sleep(900)
"""


def start(command, **options) -> subprocess.Popen:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "encoding": "utf-8", "cwd": ROOT}
    return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, **pipes | options)


def test_it_is_autoseg_with_its_exit_status() -> None:
    with start([*LEASHED, "--version"]) as process:
        assert process.stdout.read().strip() and process.wait() == 0
    with start([*LEASHED, "work", "no-such-run", "plan"], stderr=subprocess.PIPE) as process:
        assert "no-such-run" in process.stderr.read() and process.wait() == 2


def test_it_saves_its_state_once_its_parent_lets_go() -> None:
    with start([sys.executable, "-c", WAITS]) as process:
        assert process.stdout.readline().split()[1] == "True"
        process.stdin.close()
        assert process.stdout.read() == "saved\n"
    assert process.returncode == 75


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_it_saves_its_state_once_its_parent_is_killed() -> None:
    with start([sys.executable, "-c", PARENT, WAITS]) as parent:
        number = int(parent.stdout.readline().split()[0])
        child = psutil.Process(number)
        parent.kill()
        parent.wait()
        assert parent.stdout.read() == "saved\n"
    until = time.monotonic() + 300
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE and time.monotonic() < until:
        time.sleep(0.05)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
