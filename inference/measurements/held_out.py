"""`cross_validation/CONFIG/agreement.csv`: agreement in cross-validation, where one member has not seen the case.

All other members were trained on the case, so that how far they agree on it says nothing of new cases. So the one
network that did not see the case predicts it as it is and mirrored along every axis that training mirrored, one at a
time, and the agreement is that of these predictions. It costs as many predictions of every case; models are needed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from rich.console import Console

from autoseg.disk.csv_files import csv_text
from autoseg.files import write_text
from autoseg.machine.device import resolve_device
from autoseg.plan.plan import Plan
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.preprocessed_case import open_case
from autoseg.run_folder.selection import ClassRule, rules_by_class
from autoseg.terminal import progress_bar
from autoseg.whole_image.member_labels import MemberLabels
from autoseg.whole_image.prepared_case import predict_prepared_case
from inference.ensemble import Ensemble, Member
from inference.evaluation.cross_validated import cross_validated
from inference.measurements.agreement import MemberMap, class_agreement
from inference.measurements.kept_members import decide_by

FILE = "agreement.csv"
COLUMNS = ("case", "class", "fold", "predictions", "agreement")
"""`fold` is that of the network, which did not see the case; `predictions` is how many of its predictions agree."""


class Mirrored:
    """A network that predicts a patch as it is and mirrored along each axis by itself.

    Args:
        predict: function from patches (batch, channel, z, y, x) to probabilities (batch, K, z, y, x).
        axes: axes (0 = z, 1 = y, 2 = x) to mirror along.
    """

    def __init__(self, predict: Ensemble, axes: Sequence[int]) -> None:
        self._predict = predict
        self._flips: list[list[int]] = [[], *([axis + 2] for axis in axes)]

    @property
    def device(self) -> torch.device:
        """Device on which the network predicts."""
        return self._predict.device

    @property
    def count(self) -> int:
        """Number of predictions of a patch."""
        return len(self._flips)

    def __call__(self, patch: torch.Tensor) -> torch.Tensor:
        """Mean of the predictions (batch, K, z, y, x) of patches (batch, channel, z, y, x)."""
        return self.with_each(patch)[0]

    def with_each(self, patch: torch.Tensor) -> list[torch.Tensor]:
        """Mean of the predictions, followed by each of them."""
        each = [self._predict(patch.flip(dims)).flip(dims) for dims in self._flips]
        return [torch.stack(each).mean(dim=0), *each]


def write_held_out_agreement(
    run: RunFolder,
    plan: Plan,
    configuration: str,
    rules: Sequence[ClassRule] = (),
    *,
    device: str = "auto",
    console: Console,
) -> None:
    """Write the agreement on every case that a finished fold has not seen.

    Args:
        run: RUN folder with preprocessed cases and trained folds.
        plan: plan of the run.
        configuration: name of the configuration.
        rules: post-processing rules, whose thresholds decide on the classes.
        device: `auto`, `cpu`, `cuda` or `mps`.
        console: prints progress, and why nothing is measured.

    Raises:
        RunFolderError: a fold, its weights or a case is missing, damaged or of another plan.
    """
    planned, where = plan.configuration(configuration), resolve_device(device)
    if not planned.training.mirror:
        console.print(f"Agreement in cross-validation is not measured for {configuration}: training mirrored no axis")
        return
    found = cross_validated(run, plan, configuration)
    of_finished = [(index, split) for index, split in enumerate(found.splits) if index not in found.unfinished]
    decide = decide_by(rules_by_class(rules, plan.labels), plan.labels)
    rows: list[tuple[object, ...]] = []
    with progress_bar(console) as bar:
        task = bar.add_task("Agreement", total=sum(len(split.val) for _, split in of_finished))
        for fold, split in of_finished:
            if not split.val:
                continue
            ensemble = Ensemble.load(run, plan, [Member(configuration, fold, True)], where)
            mirrored = Mirrored(ensemble, planned.training.mirror)
            for name in split.val:
                bar.advance(task)
                # folds of a person's own may validate on cases that they were trained on
                if name in split.train:
                    continue
                kept = MemberLabels(mirrored.with_each, mirrored.count, decide, anywhere=True)
                maps = _maps(run, plan, configuration, name, mirrored, kept)
                agreed = class_agreement(maps, plan.labels)
                cells = ("" if one is None else f"{one:.3f}" for one in agreed)
                rows += [
                    (name, of_class, fold, len(maps), cell)
                    for of_class, cell in zip(plan.labels.foreground, cells, strict=True)
                ]
    path = run.cross_validation(configuration) / FILE
    write_text(path, csv_text(COLUMNS, rows))
    console.print(f"Agreement in cross-validation: {path}", soft_wrap=True)


def _maps(
    run: RunFolder, plan: Plan, configuration: str, name: str, mirrored: Mirrored, kept: MemberLabels
) -> list[MemberMap]:
    """Label map of each mirrored prediction of a case; none where the memory did not hold them."""
    case = open_case(run.case(plan.preprocessed_as(configuration), name))
    predict_prepared_case(
        mirrored,
        np.asarray(case.image[:]),
        case.record.present,
        plan=plan,
        configuration=plan.configuration(configuration),
        mirror=(),
        device=mirrored.device,
        members=kept,
    )
    return [MemberMap(str(number), labels, case.record) for number, labels in enumerate(kept.maps)]
