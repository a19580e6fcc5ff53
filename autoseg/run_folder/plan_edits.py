"""What a person changed in `plan.yaml` since autoseg wrote it: such fields stay as they are, whatever a run finds."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from filelock import FileLock, Timeout

from autoseg.files import differing_fields
from autoseg.plan.plan import Plan, read_plan, write_plan
from autoseg.run_folder.paths import RunFolder


def replace_plans(run: RunFolder, planned: Plan, followed: Plan, reasons: dict[str, str]) -> None:
    """Put a plan that was made again in place of the former one, whole also when it is interrupted.

    The caller holds the lock of the RUN folder.

    Args:
        run: the RUN folder.
        planned: as autoseg has it.
        followed: the same with what a person had written into the former one.
        reasons: by dotted path.
    """
    write_plan(run.planned_next, planned, reasons)
    write_plan(run.plan, followed, reasons)
    _settle(run)


def settle_plans(run: RunFolder) -> None:
    """Go on where `replace_plans` was interrupted: `plan.yaml` and what autoseg wrote belong together again.

    Another process that is replacing them just now, and holds the lock of the RUN folder, is left to it.
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
