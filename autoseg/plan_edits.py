"""What a person changed in `plan.yaml` since autoseg wrote it: such fields stay as they are, whatever a run finds."""

from __future__ import annotations

from collections.abc import Sequence

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


def edited_in(part: str, edits: Sequence[str], configuration: str) -> frozenset[str]:
    """Names of the fields in a part of a configuration that a person changed.

    Args:
        part: `training` or `prediction`.
        edits: dotted paths, as `edited_fields` gives them.
        configuration: name of the configuration.
    """
    prefix = f"configurations.{configuration}.{part}."
    return frozenset(edit.removeprefix(prefix).partition(".")[0] for edit in edits if edit.startswith(prefix))
