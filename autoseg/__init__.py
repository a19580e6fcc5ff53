"""autoseg: self-configuring segmentation of 3D medical images.

Every command is a function here: `autoseg.run("DATASET", "RUN")` is `autoseg run DATASET -o RUN`. The processes that
they start do not import the script that called them. `autoseg.Predictor` predicts images that are in memory.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from autoseg.version import VERSION

if TYPE_CHECKING:
    from autoseg.commands.cancel import cancel
    from autoseg.commands.copy import copy
    from autoseg.commands.demo import demo
    from autoseg.commands.evaluate import evaluate
    from autoseg.commands.phantom import phantom
    from autoseg.commands.plan_and_preprocess import plan_and_preprocess
    from autoseg.commands.predict import predict
    from autoseg.commands.predictor import Predictor
    from autoseg.commands.run import run
    from autoseg.commands.select import select
    from autoseg.commands.status import status
    from autoseg.commands.study import study
    from autoseg.commands.table import table
    from autoseg.commands.train import train
    from autoseg.commands.work_unit import work_unit

__version__ = VERSION
__all__ = [
    "Predictor",
    "cancel",
    "copy",
    "demo",
    "evaluate",
    "phantom",
    "plan_and_preprocess",
    "predict",
    "run",
    "select",
    "status",
    "study",
    "table",
    "train",
    "work_unit",
]

COMMANDS = tuple(name for name in __all__ if name != "Predictor")
"""Names of the functions that are commands too."""


def __getattr__(name: str) -> Any:
    """Import what is public when it is first used, so that `import autoseg` and `--help` stay quick."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"autoseg.commands.{name.lower()}"), name)


def __dir__() -> list[str]:
    """What is public beside what the module holds."""
    return sorted({*globals(), *__all__})
