"""An autoseg, this checkout's or another's, as its users call it."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import autoseg
from benchmarks.beside.figures import our_versions

_WHICH = """
import importlib.util, json
from importlib.metadata import version
print(json.dumps([version("autoseg-framework"), version("torch"), importlib.util.find_spec("autoseg").origin]))
"""


@dataclass(frozen=True)
class Program:
    """An autoseg.

    Args:
        python: of the environment that it is installed in.
        ours: whether it is this checkout's; another must not find this one in the current folder or PYTHONPATH.
    """

    python: Path
    ours: bool = True

    def command(self, *arguments: str | Path) -> list[str]:
        """One of its commands, with these arguments."""
        return [str(self.python), "-m", "autoseg", *map(str, arguments)]

    @property
    def environment(self) -> dict[str, str]:
        """Variables of its processes."""
        if self.ours:
            return dict(os.environ)
        return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"PYTHONSAFEPATH": "1"}

    def versions(self) -> dict[str, str]:
        """Its version and commit, and its torch's.

        Raises:
            SystemExit: it is to be another than this checkout's, and is not.
        """
        if self.ours:
            return our_versions()
        told = subprocess.run(
            [self.python, "-c", _WHICH], capture_output=True, text=True, check=True, env=self.environment
        ).stdout
        number, of_torch, origin = json.loads(told)
        folder = Path(origin).parent
        if folder == Path(autoseg.__file__).parent:
            raise SystemExit(f"{self.python}: has this very checkout installed; give --before another")
        commit = subprocess.run(
            ["git", "-C", folder, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
        ).stdout.strip()
        return {"autoseg": f"{number} ({commit or 'no commit'})", "torch": of_torch}
