"""What a study has to do: which cells were asked for, which cases they share, and which folds each of them can train.

In: the grid that a person asked for, the plan, and the fingerprint. All of it is known before a case is preprocessed.
"""

from __future__ import annotations

from collections.abc import Sequence

from autoseg.dataset.fingerprint import read_fingerprint
from autoseg.files import FileModel
from autoseg.plan.defaults import SLICES_ALONE
from autoseg.plan.network_input import InputLayout
from autoseg.plan.plan import Plan
from autoseg.plan.study_cells import DIMENSIONS, Cell, Grid, cells_in
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import Split


class AskedGrid(FileModel):
    """The grid of a study, as a person asked for it in `work/request.json`.

    Args:
        sequences: sets of sequences, such as `T1+T2` or `all`; None = each sequence alone, and all.
        dimensions: input dimensions; None = the default, which follows from the images.
    """

    sequences: tuple[str, ...] | None = None
    dimensions: tuple[str, ...] | None = None

    @property
    def grid(self) -> Grid:
        """The same as what cells are made from.

        Raises:
            InputError: there is no set or no dimension, or a dimension is unknown.
        """
        return Grid(self.sequences, self.dimensions)


def cells_of(asked: AskedGrid | None, plan: Plan) -> tuple[Cell, ...]:
    """Return the cells that a study trains, in the order of training.

    Args:
        asked: grid that the person asked for; None = nobody asked, and all cells of the plan are trained.
        plan: plan of the study.

    Raises:
        InputError: the grid names a sequence or a dimension that there is not.
    """
    planned = cells_in(plan)
    if asked is None:
        return planned
    # where nobody names dimensions, the planner took 2d alone for images of one slice
    slices_alone = {cell.dimension for cell in planned} == set(SLICES_ALONE)
    return asked.grid.cells([channel.name for channel in plan.channels], slices_alone=slices_alone)


def source_of(cell: str, plan: Plan | None) -> str:
    """Name of the configuration whose preprocessed cases a cell reads; without a plan, that of its dimension.

    Raises:
        PlanError: the plan has no such cell.
    """
    if plan is not None:
        return plan.preprocessed_as(cell)
    return next(name for name in sorted(DIMENSIONS, key=len, reverse=True) if cell.endswith(f".{name}"))


def possible_folds(
    run: RunFolder, plan: Plan, cells: Sequence[str], splits: Sequence[Split]
) -> dict[str, tuple[int, ...]]:
    """Return the folds of each cell that have a case to learn from and one to be validated on.

    Args:
        run: STUDY folder, whose fingerprint tells which case has which sequences.
        plan: plan of the study.
        cells: names of the cells.
        splits: folds of the study.

    Raises:
        PlanError: the plan has no such cell.
    """
    cases = read_fingerprint(run.fingerprint).cases if run.fingerprint.exists() else ()
    present = {case.case: case.present for case in cases}
    found = {}
    for cell in cells:
        layout = InputLayout.of(plan, plan.configuration(cell))
        # a case that is not known counts: its training tells what is wrong with it
        lacking = {case for case, has in present.items() if not any(layout.available(has))}
        found[cell] = tuple(
            fold for fold, split in enumerate(splits) if {*split.train} - lacking and {*split.val} - lacking
        )
    return found
