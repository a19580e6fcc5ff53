"""autoseg: self-configuring segmentation of 3D medical images.

Every command is a function here: `autoseg.run("DATASET", "RUN")` is `autoseg run DATASET -o RUN`. A script calls
them below `if __name__ == "__main__":`, since they start processes, which import the script.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autoseg.commands.planning import plan_and_preprocess
    from autoseg.commands.predicting import evaluate, predict
    from autoseg.commands.selecting import select
    from autoseg.commands.study import study
    from autoseg.commands.training import train
    from autoseg.commands.whole import copy, demo, phantom, run

__version__ = "0.1.0"
__all__ = ["copy", "demo", "evaluate", "phantom", "plan_and_preprocess", "predict", "run", "select", "study", "train"]

_WHERE = {
    "plan_and_preprocess": "autoseg.commands.planning",
    "train": "autoseg.commands.training",
    "predict": "autoseg.commands.predicting",
    "evaluate": "autoseg.commands.predicting",
    "select": "autoseg.commands.selecting",
    "run": "autoseg.commands.whole",
    "study": "autoseg.commands.study",
    "phantom": "autoseg.commands.whole",
    "demo": "autoseg.commands.whole",
    "copy": "autoseg.commands.whole",
}


def __getattr__(name: str) -> Any:
    """Import a function when it is first used, so that `import autoseg` and `--help` stay quick."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    """The public functions beside what the module holds."""
    return sorted({*globals(), *__all__})
