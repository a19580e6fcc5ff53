"""A process is known by machine, number and start."""

import os
import subprocess
import sys

import psutil

from autoseg.disk.this_process import has_ended, start_of, this_machine, this_process


def test_the_name_agrees_with_another_program() -> None:
    machine, number, start = this_process().split(".")
    assert machine == this_machine() and int(number) == os.getpid()
    # ps counts from the start of the machine too, in seconds
    since_boot = psutil.Process().create_time() - psutil.boot_time()
    assert abs(int(start) / os.sysconf("SC_CLK_TCK") - since_boot) < 2


def test_whether_a_process_has_ended() -> None:
    assert has_ended(this_process()) is False
    machine, number, start = this_process().split(".")
    assert has_ended(f"{machine}.{number}.{int(start) - 1}") is True, "its number was given again"
    assert has_ended(f"{'0' * 8}.{number}.{start}") is None, "another machine cannot be seen"
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    name = f"{machine}.{process.pid}.{start_of(process.pid)}"
    assert has_ended(name) is False
    process.kill()
    # waits for its end, and leaves its status with the operating system
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert has_ended(name) is True
    process.wait()
    assert has_ended(name) is True
