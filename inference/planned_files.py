"""Which files a prediction will write, case by case, and whether each may be written where it is to be.

All files but the label maps of single models are known before a model is loaded, and are looked at then.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from autoseg.dataset.case import Case
from autoseg.image.labels import Labels
from inference.output_files import output_files, refuse_overwriting, require_places
from inference.outputs import MEMBERS, further_files, member_file
from inference.skip_existing import cases_done, left_to_do
from inference.writers import Writer


@dataclass(frozen=True)
class PlannedFiles:
    """Files that a prediction will write.

    Args:
        cases: cases to predict.
        targets: file of the prediction of each case.
        beside: files that are asked for beside each of them.
    """

    cases: tuple[Case, ...]
    targets: tuple[Path, ...]
    beside: tuple[tuple[Path, ...], ...]

    def with_members(self, members: Sequence[Sequence[str]], ending: str) -> PlannedFiles:
        """These files, and the label maps of single models.

        Args:
            members: names of the models that predict each case.
            ending: ending of label maps beside predictions; empty = that of the prediction.

        Raises:
            InputError: an output would overwrite an input.
        """
        added = [
            tuple(member_file(case.name, target, ending, member) for member in of_case)
            for case, target, of_case in zip(self.cases, self.targets, members, strict=True)
        ]
        refuse_overwriting(self.cases, tuple(chain.from_iterable(added)))
        return replace(self, beside=tuple((*old, *new) for old, new in zip(self.beside, added, strict=True)))

    def part(self, number: int, parts: int) -> PlannedFiles:
        """Those of one part of the cases.

        Args:
            number: number of the part, from 0.
            parts: number of parts.
        """
        own = slice(number, None, parts)
        return PlannedFiles(self.cases[own], self.targets[own], self.beside[own])

    def left(self, measured: Collection[str]) -> tuple[tuple[Case, ...], tuple[Path, ...]]:
        """Cases of which a file or a row is lacking, and the files of their predictions.

        Args:
            measured: names of the cases that have rows in `measurements.csv`.
        """
        done = cases_done(self.cases, self.targets, self.beside, measured)
        return left_to_do(self.cases, self.targets, done)


def planned_files(
    cases: Sequence[Case],
    output: Path,
    writer: Writer,
    *,
    save_members: bool,
    preview: bool,
    probabilities: Labels | None,
) -> PlannedFiles:
    """Name the files, without label maps of single models, and refuse to write where something else stands.

    Args:
        cases: cases to predict.
        output: folder of the predictions.
        writer: knows the endings of its files.
        save_members: whether label maps of single models will be written too; their folder is looked at.
        preview: whether previews are drawn.
        probabilities: classes or regions whose probabilities are written; None = they are not.

    Raises:
        InputError: there is no case, an output would overwrite an input or another output, or something else stands in
            its place.
    """
    targets = output_files(cases, output, writer.endings)
    beside = tuple(
        (
            # a report beside a segmentation
            *(output / f"{case.name}{ending}" for ending in writer.endings(case)[1:]),
            *further_files(case.name, target, writer.beside_ending, preview=preview, probabilities=probabilities),
        )
        for case, target in zip(cases, targets, strict=True)
    )
    every = tuple(chain.from_iterable(beside))
    # all at once, since each image is looked at for it
    refuse_overwriting(cases, (*targets, *every))
    require_places([*every, *([output / MEMBERS / "any"] if save_members else [])], output)
    return PlannedFiles(tuple(cases), targets, beside)
