"""Runs the parts of the benchmark on a GPU, one after the other, each within its own time.

    python -m benchmarks.gpu FOLDER [--device cuda] [--data DATA] [--parts numerics steps …]

It wants a card of at least 12 GB with 16 cores, 8 minutes, and nothing else on the machine. Packages: autoseg with the
extra `dev`; nnunetv2 is compared where it is installed. Data: `--data` names a data set of hippocampi (Medical
Segmentation Decathlon, Task04) in the layout of the Decathlon or nnU-Net; without it synthetic spines are made. All
other data are made here.

Each part is a process of its own, which writes FOLDER/PART.json as it goes. FOLDER/gpu.json collects them; a part that
ended late or failed is told there with what it had. On a CPU (`--device cpu`) every part runs on small sizes: that is
its test and no measurement.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from autoseg.files import write_text
from autoseg.terminal import open_console

LIMITS = {
    "numerics": 60,
    "steps": 110,
    "loader": 50,
    "fold": 40,
    "prediction": 90,
    "memory": 50,
    "folds": 80,
}
"""Seconds that each part may take: eight minutes together."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the results go")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--data", type=Path, help="data set of hippocampi")
    parser.add_argument("--parts", nargs="+", choices=LIMITS, default=list(LIMITS))
    parser.add_argument("--patience", type=float, default=1, help="so many times its limit a part may take")
    parser.add_argument("--part", choices=LIMITS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    if given.part:
        measure = importlib.import_module(f"benchmarks.gpu.{given.part}").measure
        measure(given.device, given.data, Answers(given.folder / f"{given.part}.json"))
        return
    found: dict[str, Any] = {"machine": machine(given.device)}
    for part in given.parts:
        found[part] = run_part(part, given)
        write_text(given.folder / "gpu.json", json.dumps(found, indent=1))
        open_console().print(f"{part}: {json.dumps(found[part])[:2000]}", markup=False)


class Answers:
    """The answers of a part, written after each one, so that what is known outlasts the part's end.

    Args:
        path: file that is written.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._found = path, dict[str, Any]()

    def __setitem__(self, name: str, value: Any) -> None:
        self._found[name] = value
        write_text(self._path, json.dumps(self._found))


def run_part(part: str, given: argparse.Namespace) -> dict[str, Any]:
    """Run a part in a process of its own; its answers, and why it is not whole."""
    path: Path = given.folder / f"{part}.json"
    path.unlink(missing_ok=True)
    command = [sys.executable, "-m", "benchmarks.gpu", str(given.folder), "--device", given.device, "--part", part]
    command += ["--data", str(given.data)] if given.data else []
    started, left_out, limit = time.perf_counter(), None, LIMITS[part] * given.patience
    try:
        ended = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=limit)
        if ended.returncode:
            left_out = f"failed: {ended.stderr.strip().splitlines()[-1:]}"
            write_text(given.folder / f"{part}.log", ended.stdout + ended.stderr)
    except subprocess.TimeoutExpired:
        left_out = f"ended after its {limit:.0f} s"
    answers = json.loads(path.read_text()) if path.exists() else {}
    return answers | {"seconds": round(time.perf_counter() - started, 1)} | ({"left out": left_out} if left_out else {})


def machine(device: str) -> dict[str, Any]:
    """What the figures were measured on."""
    import torch

    from autoseg.machine.cores import available_cores
    from autoseg.machine.device import resolve_device

    where = resolve_device(device)
    told: dict[str, Any] = {"device": str(where), "torch": torch.__version__, "cores": available_cores()}
    if where.type == "cuda":
        properties = torch.cuda.get_device_properties(where)
        told |= {"card": properties.name, "memory_gb": round(properties.total_memory / 2**30, 1)}
        told |= {"cudnn": torch.backends.cudnn.version(), "cuda": torch.version.cuda}
    return told


if __name__ == "__main__":
    main()
