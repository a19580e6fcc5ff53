"""Into how many parts the images of a prediction are divided, and what each needs, from what the RUN has measured.

A part is so long that starting it is a small share of its time. What a case takes is known from the validation of the
folds that are finished: each of them has predicted its own cases as a new image is predicted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from autoseg.dataset.fingerprint import read_fingerprint
from autoseg.plan.plan import Plan
from autoseg.run_folder.finished_fold import read_finished_folds
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.step_costs import read_step_costs
from autoseg.work.prediction_request import PartNeeds, PredictionOptions
from autoseg.work.request import MOST_PARTS, unmeasured_parts
from autoseg.work.units import BESIDE_THE_MODEL_BYTES, CORES, SECONDS_TO_BEGIN

SECONDS_TO_START = 20.0
"""Seconds until a part predicts its first image: Python, torch and five models, read over a network.

With five small models on a local disk, it is 7 s of a processor for everything but the images themselves; a file system
of a network takes longer, above all for the many small files of Python.
"""

SHARE_OF_STARTING = 0.05
"""Starting takes at most this share of a part's time."""


def number_of_parts(cases: int, seconds_a_case: float | None) -> int:
    """Return the number of parts.

    Args:
        cases: number of cases to predict.
        seconds_a_case: seconds that predicting a case takes; None = not known.
    """
    if seconds_a_case is None:
        return unmeasured_parts(cases)
    predicting = SECONDS_TO_START / SHARE_OF_STARTING - SECONDS_TO_START
    of_a_part = max(1, math.ceil(predicting / max(seconds_a_case, 1e-3)))
    return max(1, min(MOST_PARTS, cases // of_a_part))


def seconds_of_a_case(
    run: RunFolder, configurations: Sequence[str], options: PredictionOptions, device: str
) -> float | None:
    """Seconds that all models together take for a case; None where that was not measured.

    Args:
        run: RUN folder, or a copy of its models.
        configurations: names of the configurations that predict.
        options: what is asked of the prediction.
        device: device that predicts, such as `cuda`.
    """
    if options.mirror is not None:
        # validation mirrored as planned
        return None
    seconds = 0.0
    for name in configurations:
        folds = [fold for fold, _ in run.folds(name) if options.fold is None or fold in options.fold]
        finished = read_finished_folds(run, name, folds).values()
        # a copy of the models has no names of cases, by which they are counted
        took = [one.seconds_validation / len(one.dice) for one in finished if one.dice and _alike(one.device, device)]
        if not took:
            return None
        seconds += max(1, len(finished)) * sum(took) / len(took)
    return seconds


def needs_of_a_part(
    run: RunFolder,
    plan: Plan,
    configurations: Sequence[str],
    options: PredictionOptions,
    cases: int,
    parts: int | None = None,
) -> tuple[int, PartNeeds]:
    """Return the number of parts, and what each needs.

    Args:
        run: RUN folder, or a copy of its models.
        plan: plan of that RUN, which says the device, the patch and the number of classes.
        configurations: names of the configurations that predict.
        options: what is asked of the prediction.
        cases: number of cases to predict.
        parts: number of parts that there are already; None = it is chosen.
    """
    device = plan.device if options.device == "auto" else options.device
    on_cpu = not device.startswith(("cuda", "mps"))
    costs = read_step_costs(run)
    cores = options.threads or (costs.threads if on_cpu and costs is not None and not costs.counted else None) or CORES
    seconds = seconds_of_a_case(run, configurations, options, device)
    parts = number_of_parts(cases, seconds) if parts is None else parts
    needs = PartNeeds(
        cores=cores,
        memory_bytes=_memory(run, plan, configurations, on_cpu=on_cpu),
        gpus=int(device.startswith("cuda")),
        seconds=None if seconds is None else SECONDS_TO_BEGIN + math.ceil(cases / parts) * seconds,
    )
    return parts, needs


def _alike(trained_on: str, predicted_on: str) -> bool:
    return trained_on.partition(":")[0] == predicted_on.partition(":")[0]


def _memory(run: RunFolder, plan: Plan, configurations: Sequence[str], *, on_cpu: bool) -> int:
    """Bytes of main memory for a case as large as the largest training case.

    On a CPU the network's own memory is that of training, which takes more.
    """
    from autoseg.image.geometry import STRAIGHT, Geometry
    from autoseg.image.resampled_size import resampled_voxels
    from autoseg.whole_image.case_memory import case_bytes

    planned = [plan.configuration(name) for name in configurations]
    members, largest = max(len(run.folds(name)) for name in configurations), 0
    # many cases are of one size
    for shape, spacing in {(case.shape, case.spacing) for case in read_fingerprint(run.fingerprint).cases}:
        grid = Geometry(shape, spacing, (0.0, 0.0, 0.0), STRAIGHT)
        prepared = [resampled_voxels(grid, one.target_spacing(spacing)) for one in planned]
        needed = case_bytes(math.prod(shape), prepared, len(plan.channels), plan.labels.outputs, members)
        largest = max(largest, needed)
    return BESIDE_THE_MODEL_BYTES + largest + (int(plan.memory_gb * 2**30) if on_cpu else 0)
