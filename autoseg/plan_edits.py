"""What a person changed in `plan.yaml` since autoseg wrote it: such fields stay as they are, whatever a run finds."""

from __future__ import annotations

from autoseg.model_files import differing_fields
from autoseg.plan import Plan, read_plan
from autoseg.run_folder import RunFolder


def edited_fields(run: RunFolder, plan: Plan) -> tuple[str, ...]:
    """Dotted paths of the fields of the plan that a person changed; none where nothing tells what was planned.

    Args:
        run: holds the plan as autoseg wrote it.
        plan: as `plan.yaml` now has it.
    """
    return tuple(differing_fields(read_plan(run.planned), plan)) if run.planned.exists() else ()


def edited_in_training(run: RunFolder, plan: Plan, configuration: str) -> frozenset[str]:
    """Names of the fields of a configuration's `training` that a person changed."""
    prefix = f"configurations.{configuration}.training."
    return frozenset(
        field.removeprefix(prefix).partition(".")[0] for field in edited_fields(run, plan) if field.startswith(prefix)
    )
