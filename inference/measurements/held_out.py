"""`agreement.csv` in `cross_validation/CONFIG`: agreement in cross-validation, where one member has not seen the case.

All other members were trained on the case, so that how far they agree on it says nothing of new cases. So the one
network that did not see the case predicts it as it is and mirrored along every axis that training mirrored, one at a
time, and the agreement is that of these predictions. Where training mirrored no axis, as in short schedules, it
predicts the case jittered (`jitter`). It costs as many predictions of every case; models are needed. Where the plan has
lesions, `lesion_agreement.csv` has each lesion that the network predicts in the case as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cc3d
import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress

from autoseg.disk.csv_files import csv_text
from autoseg.files import write_text
from autoseg.machine.device import resolve_device
from autoseg.plan.plan import Plan
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.preprocessed_case import open_case
from autoseg.run_folder.selection import ClassRule, rules_by_class
from autoseg.terminal import progress_bar
from autoseg.whole_image.member_labels import Decide, MemberLabels
from autoseg.whole_image.prepared_case import predict_prepared_case
from inference.ensemble import Ensemble, Member
from inference.evaluation.cross_validated import cross_validated
from inference.lesion_scores.components import numbered
from inference.measurements.agreement import MemberMap, class_agreement
from inference.measurements.jitter import AS_IT_IS, JITTERS, jittered
from inference.measurements.kept_members import decide_by
from inference.measurements.lesions import agreement_of_each

FILE, LESIONS_FILE = "agreement.csv", "lesion_agreement.csv"
COLUMNS = ("case", "class", "fold", "predictions", "agreement")
"""`fold` is that of the network, which did not see the case; `predictions` is how many of them are compared."""
LESION_COLUMNS = ("case", "class", "fold", "lesion", "voxels", "x_mm", "y_mm", "z_mm", "agreement")
"""`lesion` counts the lesions of a class in a case from 1, the largest first. `x_mm`, `y_mm`, `z_mm` are the centre in
the patient's coordinates (LPS)."""


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
        console: prints progress, and what is compared.

    Raises:
        RunFolderError: a fold, its weights or a case is missing, damaged or of another plan.
    """
    planned, where = plan.configuration(configuration), resolve_device(device)
    if not planned.training.mirror:
        console.print(
            f"{configuration}: training mirrored no axis; predictions of each case as it is, with less contrast, with "
            "more contrast and with noise are compared"
        )
    rows, of_lesions = list[tuple[object, ...]](), list[tuple[object, ...]]()
    with progress_bar(console) as bar:
        for fold, name, maps in _each_case(run, plan, configuration, rules, where, bar):
            agreed = zip(plan.labels.foreground, class_agreement(maps, plan.labels), strict=True)
            rows += [(name, of_class, fold, len(maps), _cell(one)) for of_class, one in agreed]
            for of_class in plan.lesions:
                of_lesions += [(name, of_class, fold, *row) for row in _lesions(maps, plan, of_class)]
    folder = run.cross_validation(configuration)
    if plan.lesions:
        write_text(folder / LESIONS_FILE, csv_text(LESION_COLUMNS, of_lesions))
    write_text(folder / FILE, csv_text(COLUMNS, rows))
    console.print(f"Agreement in cross-validation: {folder / FILE}", soft_wrap=True)


def _each_case(
    run: RunFolder, plan: Plan, configuration: str, rules: Sequence[ClassRule], where: torch.device, bar: Progress
) -> Iterator[tuple[int, str, list[MemberMap]]]:
    """Fold, name and label maps of every case that a finished fold has not seen."""
    found = cross_validated(run, plan, configuration)
    of_finished = [(index, split) for index, split in enumerate(found.splits) if index not in found.unfinished]
    decide = decide_by(rules_by_class(rules, plan.labels), plan.labels)
    task = bar.add_task("Agreement", total=sum(len(split.val) for _, split in of_finished))
    for fold, split in of_finished:
        if not split.val:
            continue
        ensemble = Ensemble.load(run, plan, [Member(configuration, fold, True)], where)
        predict = Mirrored(ensemble, plan.configuration(configuration).training.mirror)
        for name in split.val:
            bar.advance(task)
            # folds of a person's own may validate on cases that they were trained on
            if name not in split.train:
                yield fold, name, _maps(run, plan, configuration, name, predict, decide)


def _maps(
    run: RunFolder, plan: Plan, configuration: str, name: str, predict: Mirrored, decide: Decide
) -> list[MemberMap]:
    """Label map of each mirrored or jittered prediction of a case; none where the memory did not hold them."""
    case = open_case(run.case(plan.preprocessed_as(configuration), name))
    image, maps = np.asarray(case.image[:]), list[MemberMap]()
    for jitter in JITTERS if predict.count == 1 else (AS_IT_IS,):
        kept = MemberLabels(predict.with_each, predict.count, decide, anywhere=True)
        predict_prepared_case(
            predict,
            jittered(image, jitter, case.record.present, seed=plan.seed, case=name),
            case.record.present,
            plan=plan,
            configuration=plan.configuration(configuration),
            mirror=(),
            device=predict.device,
            members=kept,
        )
        if not kept.maps:
            return []
        maps += [MemberMap(str(len(maps) + number), labels, case.record) for number, labels in enumerate(kept.maps)]
    return maps


def _lesions(maps: Sequence[MemberMap], plan: Plan, of_class: str) -> list[tuple[object, ...]]:
    """Number, voxels, place and agreement of the lesions of a class that the network predicts in a case as it is."""
    if not maps:
        return []
    grid, index = maps[0].record.reoriented, plan.labels.foreground.index(of_class) + 1
    parts, count = numbered(plan.labels.mask(maps[0].whole(), index))
    if not count:
        return []
    found = cc3d.statistics(parts)
    agreed = agreement_of_each(maps, plan.labels, index, parts, found["bounding_boxes"][1:])
    rows: list[tuple[object, ...]] = []
    for lesion, number in enumerate(np.argsort(-found["voxel_counts"][1:].astype(np.int64), kind="stable") + 1, 1):
        # world coordinates are (x, y, z), and indices (z, y, x)
        place = (f"{mm:.2f}" for mm in grid.to_world(np.asarray(found["centroids"][number])).tolist())
        rows.append((lesion, int(found["voxel_counts"][number]), *place, _cell(agreed[number - 1])))
    return rows


def _cell(agreement: float | None) -> str:
    return "" if agreement is None else f"{agreement:.3f}"
