"""Prints the lowest version of each dependency that `pyproject.toml` allows, except of torch, a pin on each line."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def lowest_versions() -> list[str]:
    """Pins such as `numpy==2.0`."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    dependencies = [*project["dependencies"], *project["optional-dependencies"]["dicom"]]
    found = (re.fullmatch(r"([\w.-]+)>=([\d.]+)(,.*)?", dependency) for dependency in dependencies)
    return [f"{pin[1]}=={pin[2]}" for pin in found if pin is not None and pin[1] != "torch"]


if __name__ == "__main__":
    print("\n".join(lowest_versions()))
