"""The fields of `plan.yaml` that the user edited after autoseg wrote it, and the replacement of a plan made again.

Edited fields keep their values when a plan is made again.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from filelock import FileLock, Timeout

from autoseg.files import differing_fields
from autoseg.plan.plan import Plan, read_plan, write_plan
from autoseg.run_folder.paths import RunFolder


def replace_plans(run: RunFolder, planned: Plan, followed: Plan, reasons: dict[str, str]) -> None:
    """Replace the plan files by a plan that was made again; `settle_plans` completes or undoes an interruption.

    The caller holds the lock of the RUN folder.

    Args:
        run: RUN folder whose plan files are replaced.
        planned: new plan as autoseg made it.
        followed: new plan with the user's edits of the former plan applied.
        reasons: reason for each field, keyed by its dotted path such as `configurations.3d.spacing`.
    """
    write_plan(run.planned_next, planned, reasons)
    write_plan(run.plan, followed, reasons)
    _settle(run)


def settle_plans(run: RunFolder) -> None:
    """Complete or undo an interrupted `replace_plans`, so that the plan and the plan as made belong together again.

    Nothing is done while another process holds the lock of the RUN folder, since it may be replacing them.
    """
    if not run.planned_next.exists():
        return
    with suppress(Timeout), FileLock(run.path / ".lock", timeout=0):
        _settle(run)


def _settle(run: RunFolder) -> None:
    begun = read_plan(run.planned_next)
    if run.plan.exists() and read_plan(run.plan).planned_again == begun.planned_again:
        run.planned_next.replace(run.planned)
    else:
        run.planned_next.unlink()


def edited_fields(run: RunFolder, plan: Plan) -> tuple[str, ...]:
    """Return the dotted paths of the plan's fields that the user changed.

    The result is empty where the RUN folder does not hold the plan as autoseg wrote it.

    Args:
        run: RUN folder that holds the plan as autoseg wrote it.
        plan: plan as `plan.yaml` now has it.
    """
    return tuple(differing_fields(read_plan(run.planned), plan)) if run.planned.exists() else ()


def edited_in(part: str, edits: Sequence[str], configuration: str) -> frozenset[str]:
    """Return the names of the fields that the user changed in one part of a configuration.

    Args:
        part: part of the configuration, `training` or `prediction`.
        edits: dotted paths of edited fields, as `edited_fields` returns them.
        configuration: name of the configuration.
    """
    prefix = f"configurations.{configuration}.{part}."
    return frozenset(edit.removeprefix(prefix).partition(".")[0] for edit in edits if edit.startswith(prefix))
