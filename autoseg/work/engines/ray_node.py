"""What runs on a node of a Ray cluster: a look at the node, and a unit as a process of autoseg.

Ray carries the name of these functions, short texts and numbers; it never carries a model or an image.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from autoseg.version import VERSION
from autoseg.work.engines.ledger import Ended

SECONDS_BETWEEN_LOOKS = 0.2
"""A cancelled task ends its process after this time at most."""

SECONDS_FOR_A_FILE = 15.0
"""A file that another machine wrote is seen after this time at most, where both share the folder."""

LEASHED = ("-m", "autoseg.work.engines.leash")
"""Arguments of Python for autoseg in a process that does not outlive its parent."""

PACKAGES = ("torch", "numpy", "SimpleITK")
"""Packages on which results depend most; their versions are compared."""


def environment_here() -> dict[str, str]:
    """Return the versions that all nodes must have in common, keyed by what they are of."""
    return {"autoseg": VERSION, "Python": platform.python_version()} | {name: _version(name) for name in PACKAGES}


def look(run: str, name: str, content: str, answer: str) -> dict[str, str]:
    """Look at this node: its versions, and whether it sees the RUN folder and can write into it.

    Args:
        run: path of the RUN folder.
        name: name of a file in `work/` of the RUN folder, which the driver has written.
        content: content of that file.
        answer: what this node writes into a file beside it, whose name has the node's number at its end.

    Returns:
        The versions as from `environment_here`; `host`; and `folder`, which is empty where all is as it should be.
    """
    return environment_here() | {"host": platform.node(), "folder": _of_folder(Path(run), name, content, answer)}


def do_unit(arguments: Sequence[str], log: str, expected: dict[str, str]) -> Ended:
    """Do a unit on this node in a process of its own, and wait for its end.

    The process ends when this task is cancelled, or its process dies: it then saves its state first.

    Args:
        arguments: arguments of `autoseg`, such as `work`, the RUN folder and the name of the unit.
        log: file at whose end everything stands that the process prints.
        expected: versions that this node must have, as from `environment_here`; it may have joined late.

    Returns:
        How the process ended.
    """
    host = platform.node()
    if differs := differences(expected, environment_here()):
        return Ended(None, host, f"this node has {differs}")
    with (
        os.fdopen(_opened(log), "ab") as printed,
        subprocess.Popen(
            [sys.executable, *LEASHED, *arguments],
            stdin=subprocess.PIPE,
            stdout=printed,
            stderr=subprocess.STDOUT,
            env=_without_ray(os.environ),
        ) as process,
    ):
        try:
            while process.poll() is None:
                # not `wait`: Ray's cancelling does not interrupt it
                time.sleep(SECONDS_BETWEEN_LOOKS)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()
    status = process.returncode
    return Ended(status if status >= 0 else None, host, _last_line(log) if status else "", log)


def differences(expected: dict[str, str], here: dict[str, str]) -> str:
    """Say which versions differ from those expected; empty where none does."""
    wrong = [
        f"{name} {here.get(name) or 'none'} instead of {is_}" for name, is_ in expected.items() if here.get(name) != is_
    ]
    return ", ".join(wrong)


def appears(file: Path) -> bool:
    """Whether a file that another machine wrote is seen here, at once or after the seconds that its server takes."""
    deadline = time.monotonic() + SECONDS_FOR_A_FILE
    while not file.exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(SECONDS_BETWEEN_LOOKS)
    return True


def _of_folder(run: Path, name: str, content: str, answer: str) -> str:
    """What is wrong with the RUN folder as this node sees it, in words."""
    file = run / "work" / name
    if not appears(file):
        return f"{run} is another folder there" if run.is_dir() else f"there is no folder {run}"
    try:
        if file.read_text(encoding="utf-8") != content:
            return f"{run} has other content there"
        (run / "work" / f"{name}.{answer}").write_text(answer, encoding="utf-8")
    except OSError as error:
        return f"{run}: {error.strerror}"
    return ""


def _opened(log: str) -> int:
    """Open a file to write at its end; no link is followed."""
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    return os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0), 0o666)


def _without_ray(environment: os._Environ[str]) -> dict[str, str]:
    """The environment without what is Ray's own, such as the token."""
    return {name: value for name, value in environment.items() if not name.startswith("RAY_")}


def _last_line(log: str, most: int = 500) -> str:
    """The last line that is not empty."""
    with suppress(OSError), Path(log).open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - 8 * most))
        lines = file.read().decode(errors="replace").split("\n")
        return next((line.strip()[:most] for line in reversed(lines) if line.strip()), "")
    return ""


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
