"""Engines that place units of work on machines: each starts `autoseg work RUN UNIT`, and looks at its exit status."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autoseg.work.engine import EngineModule, PrintsScripts
    from autoseg.work.engines import ray, slurm

    # the type checker compares them with what every engine has
    _RAY: EngineModule = ray
    _SLURM: PrintsScripts = slurm
