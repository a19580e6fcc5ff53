"""Predicts one image into memory, by the functions that `predict_cases` writes files with.

In: a case whose images are files or in memory. Out: a `Prediction`. Nothing is kept between calls, and several threads
may call at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from rich.text import Text

from autoseg.dataset.case import Case
from autoseg.errors import NotEnoughMemory
from autoseg.image.image import Image, to_sitk
from autoseg.machine.threads import computing_with
from autoseg.memory import free_memory, lacks_memory, readable_bytes
from autoseg.plan.plan import Plan
from autoseg.whole_image.export import export_probabilities, label_image
from autoseg.whole_image.mixture import Mixture
from inference.ensemble_groups import members_of
from inference.measurements.kept_members import KeptMembers, kept_members
from inference.measurements.measure import measured_case, notes_of
from inference.measurements.table import as_frame
from inference.post_processing import post_processed
from inference.predict_image import LoadedModels, PredictedImage, predict_image, prepare_image
from inference.predicted_part import notes
from inference.prediction import Prediction

if TYPE_CHECKING:
    from pandas import DataFrame

_COMPUTING = threading.Lock()
"""Held while a network predicts, and on a CPU while anything computes: torch's number of threads is one number for the
whole process, and a device holds what one prediction takes."""

_OnWindow = Callable[[int, int], None]


def predict_one(
    models: LoadedModels,
    case: Case,
    *,
    threads: int | None,
    probabilities: bool = False,
    members: bool = False,
    measurements: bool = False,
) -> Prediction:
    """Predict one case.

    Args:
        models: loaded models and settings; no file is written for them.
        case: the case; its images may be in memory.
        threads: threads that compute on a CPU; None = as many as other programs leave cores for.
        probabilities: give the probability of each class too.
        members: give what each model would predict alone too; every one of them predicts the image once more.
        measurements: measure each class too, as for `measurements.csv`.

    Raises:
        AutosegError: the case cannot be predicted.
        NotEnoughMemory: the memory does not hold it.
    """
    try:
        with _threads(models, threads) as on_window:
            return _predicted(
                models, case, on_window, probabilities=probabilities, members=members, measurements=measurements
            )
    except (RuntimeError, MemoryError, OSError) as error:
        if not lacks_memory(error):
            raise
        free = readable_bytes(free_memory())
        raise NotEnoughMemory(
            f"{case.name}: there is not enough memory to predict it, {free} are free; free some, or crop the image"
        ) from None


def _predicted(
    models: LoadedModels,
    case: Case,
    on_window: _OnWindow,
    *,
    probabilities: bool,
    members: bool,
    measurements: bool,
) -> Prediction:
    labels, told = models.plan.labels, list[str]()
    together = replace(models, kept=_kept(models)) if measurements else models
    image = _of_groups(together, case, on_window, lambda text: told.append(_sentence(text, case.name)))
    found = export_probabilities(image.members, labels) if probabilities else ()
    names = labels.foreground if labels.overlapping else labels.names
    by_class = {name: to_sitk(one) for name, (_, one) in zip(names, found, strict=False)}
    label_map, noted, classes = _label_map(models, image)
    measured = _measured(models.plan, image, classes) if measurements else None
    # the members predict the image again: what is done with must not lie beside that
    image.members.clear()
    return Prediction(
        to_sitk(label_map),
        probabilities=by_class,
        members=dict(_alone(models, case, on_window)) if members else {},
        notes=tuple(dict.fromkeys([*told, *noted])),
        measurements=measured,
    )


def _of_groups(models: LoadedModels, case: Case, on_window: _OnWindow, tell: Callable[[Text], None]) -> PredictedImage:
    prepared = prepare_image(models, case)
    # on a CPU the lock is held already, see `_threads`
    if models.device.type == "cpu":
        return predict_image(models, prepared, case.name, tell, on_window)
    with _COMPUTING:
        return predict_image(models, prepared, case.name, tell, on_window)


def _label_map(models: LoadedModels, image: PredictedImage) -> tuple[Image, tuple[str, ...], NDArray[np.uint8]]:
    """The label map of a predicted image, what is noted of it, and its class indices (z, y, x) as it was reoriented."""
    labels, record = models.plan.labels, image.members[0].record
    classes = post_processed(image.members, models.rules, labels)
    return label_image(classes, record, labels), notes(image.part, classes), classes


def _kept(models: LoadedModels) -> KeptMembers | None:
    """What of the single models' label maps is kept to measure how far they agree, as the command does unasked."""
    return kept_members(models.groups, models.rules, models.plan, None)


def _measured(plan: Plan, image: PredictedImage, classes: NDArray[np.uint8]) -> DataFrame:
    """What `measurements.csv` says of a predicted image, but its name."""
    told = notes_of(image.part, classes, image.odd)
    return as_frame(measured_case("", classes, Mixture(image.members), image.maps, plan, told).rows)


def _alone(models: LoadedModels, case: Case, on_window: _OnWindow) -> Iterator[tuple[str, sitk.Image]]:
    """Label map of each model alone, with the same post-processing."""
    there = members_of(case, models.groups, models.plan)
    for group in models.groups:
        if not set(group.members).intersection(there):
            continue
        for ensemble in group.ensemble.one_by_one():
            one = replace(models, groups=(replace(group, ensemble=ensemble),))
            label_map, *_ = _label_map(one, _of_groups(one, case, on_window, lambda text: None))
            yield f"{group.name} fold {ensemble.members[0].fold}", to_sitk(label_map)


@contextmanager
def _threads(models: LoadedModels, threads: int | None) -> Iterator[_OnWindow]:
    """Context manager with the number of threads; gives what is called after each batch of windows."""
    if models.device.type != "cpu":
        yield lambda done, total: None
        return
    with _COMPUTING, computing_with(threads) as computing:
        yield computing.follow


def _sentence(text: Text, case: str) -> str:
    """A warning without the name of the case before it, which has none that the user gave."""
    sentence = text.plain
    while sentence.startswith(f"{case}: "):
        sentence = sentence.removeprefix(f"{case}: ")
    return sentence
