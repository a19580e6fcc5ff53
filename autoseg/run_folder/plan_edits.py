"""The fields of `plan.yaml` that the user edited after autoseg wrote it, and the replacement of a plan made again.

Edited fields keep their values when a plan is made again. autoseg's reasons are those of the plan as it was made
(`plan.as_planned.yaml`): a field that the user edited has none of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress

from autoseg.files import differing_fields, former_values, move
from autoseg.plan.plan import Plan, read_plan, read_reasons, write_plan
from autoseg.run_folder.lock import LockedByAnother, locked
from autoseg.run_folder.paths import RunFolder

EDITED = "edited by a person"
"""What stands in place of the reason for a field that the user edited."""


def replace_plans(run: RunFolder, planned: Plan, followed: Plan, reasons: dict[str, str]) -> None:
    """Replace the plan files by a plan that was made again; `settle_plans` completes or undoes an interruption.

    In `plan.yaml`, the comment on an edited field says so and names the planned value. A comment that the user wrote
    stays.

    The caller holds the lock of the RUN folder.

    Args:
        run: RUN folder whose plan files are replaced.
        planned: new plan as autoseg made it.
        followed: new plan with the user's edits of the former plan applied.
        reasons: reason for each field of `planned`, keyed by its dotted path such as `configurations.3d.spacing`.
    """
    told = reasons_with_edits(reasons, planned, followed) | _comments_of_the_user(run)
    write_plan(run.planned_next, planned, reasons)
    write_plan(run.plan, followed, told)
    _settle(run)


def settle_plans(run: RunFolder) -> None:
    """Complete or undo an interrupted `replace_plans`, so that the plan and the plan as made belong together again.

    Nothing is done while another process holds the lock of the RUN folder, since it may be replacing them.
    """
    if not run.planned_next.exists():
        return
    with suppress(LockedByAnother), locked(run.plan, "planning"):
        _settle(run)


def _settle(run: RunFolder) -> None:
    begun = read_plan(run.planned_next)
    if run.plan.exists() and read_plan(run.plan).planned_again == begun.planned_again:
        move(run.planned_next, run.planned)
    else:
        run.planned_next.unlink()


def read_planned_reasons(run: RunFolder) -> dict[str, str]:
    """Read autoseg's reasons for the plan as it was made, keyed by the dotted path of the field.

    They are the comments in `plan.yaml` where the RUN folder does not hold the plan as autoseg wrote it.
    """
    return read_reasons(run.planned if run.planned.exists() else run.plan)


def reasons_with_edits(reasons: Mapping[str, str], planned: Plan, followed: Plan) -> dict[str, str]:
    """Return the reasons for the fields of a plan with edits.

    An edited field has, in place of autoseg's reason, a sentence that says so and names the planned value.

    Args:
        reasons: reason for each field of `planned`, keyed by its dotted path.
        planned: plan as autoseg made it.
        followed: the same plan with the user's edits.
    """
    edits = former_values(planned, followed)
    return {**reasons, **{field: f"{EDITED}; planned: {_text(value)}" for field, value in edits.items()}}


def _comments_of_the_user(run: RunFolder) -> dict[str, str]:
    """The comments in `plan.yaml` that autoseg did not write, keyed by the dotted path of the field."""
    planned = read_planned_reasons(run)
    return {
        field: comment
        for field, comment in read_reasons(run.plan).items()
        if comment != planned.get(field) and not comment.startswith(EDITED)
    }


def _text(value: object) -> str:
    """A value as YAML has it on one line."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


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
