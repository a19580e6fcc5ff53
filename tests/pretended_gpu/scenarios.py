"""Runs parts of autoseg on pretended cards, and prints what was found as JSON.

python -m tests.pretended_gpu.scenarios FOLDER_OF_THE_LIBRARY FOLDER SCENARIO
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from tests.pretended_gpu import library


def main(libraries: Path, folder: Path, scenario: str) -> None:
    library.load(libraries)
    import torch

    from tests.pretended_gpu import cards

    torch.set_num_threads(1)
    cards.pretend()
    with cards.Cards():
        found = SCENARIOS[scenario](folder)
    print(json.dumps(found | {"cards": sorted(cards.used)}))


def whole_fold(folder: Path) -> dict[str, Any]:
    """Two folds, then the choice of what predicts, and a new image that both of them predict."""
    import numpy as np

    from autoseg.dataset.case import Case
    from autoseg.dataset.fingerprint import write_fingerprint
    from autoseg.image.image import Image, write_image
    from autoseg.run_folder.finished_fold import read_finished
    from autoseg.run_folder.splits import Split, write_splits
    from inference.predict import predict_cases
    from inference.selection.select import select_configurations
    from tests.example_fingerprint import example_case_fingerprint, example_fingerprint, one_structure
    from tests.example_record import example_geometry
    from tests.trainer.tiny_run import LABELS, SHAPE, make_run, make_training
    from trainer.fold import train_fold

    run = make_run(folder / "run", make_training(lesion_loss=0.3))
    names = tuple(f"ball_{i}" for i in range(5))
    write_splits(run.splits, (Split(train=names[:4], val=names[4:]), Split(train=names[1:], val=names[:1])))
    cases = [
        example_case_fingerprint(name, shape=SHAPE, spacing=(1.0, 1.0, 1.0), classes={"ball": one_structure(180.0)})
        for name in names
    ]
    write_fingerprint(run.fingerprint, example_fingerprint(cases, labels=LABELS))
    for fold in range(2):
        train_fold(run, "3d", fold, device="cuda", workers=0)
    selected = select_configurations(run, workers=1)
    new = np.random.default_rng(1).normal(100, 20, SHAPE).astype(np.float32)
    write_image(folder / "new.nii.gz", Image(new[None], example_geometry(SHAPE)))
    case = Case("new", (folder / "new.nii.gz",), None)
    problems = predict_cases(run, [case], folder / "predicted", configuration="3d", device="cuda")
    assert not problems, problems
    finished = read_finished(run, "3d", 0)
    assert finished is not None
    return {
        "steps": finished.steps,
        "device": finished.device,
        "precision": finished.precision,
        "augment_on": finished.augment_on,
        "selected": selected.configurations,
        "predicted": sorted(path.name for path in (folder / "predicted").iterdir()),
    }


def second_card(folder: Path) -> dict[str, Any]:
    """A step is measured, and a fold is trained, on the second card."""
    from tests.trainer.tiny_run import make_plan, make_run, make_training
    from trainer.fold import train_fold
    from trainer.measure import measure_step

    plan = make_plan(make_training())
    cost = measure_step(plan, plan.configurations["3d"], "cuda:1")
    run = make_run(folder / "run", make_training())
    train_fold(run, "3d", 0, device="cuda:1", workers=0)
    return {"seconds": cost.seconds}


def resumed(folder: Path) -> dict[str, Any]:
    """A fold that is stopped in its second epoch and goes on; beside it the same fold in one go.

    Their patches are augmented on the card.
    """
    import os
    import signal

    from safetensors.torch import load_file

    from tests.trainer.tiny_run import make_run, make_training
    from trainer import fold
    from trainer.stop_request import TrainingStopped

    training = make_training(augment_on="device", contrast_maps=0.5)
    whole, stopped = (make_run(folder / name, training) for name in ("whole", "stopped"))
    fold.train_fold(whole, "3d", 0, device="cuda", workers=0)
    taken = fold._step

    def step_then_stop(task: Any, batch: Any) -> None:
        taken(task, batch)
        if task.state.step == 6:
            os.kill(os.getpid(), signal.SIGINT)

    fold._step = step_then_stop
    try:
        fold.train_fold(stopped, "3d", 0, device="cuda", workers=0)
    except TrainingStopped as told:
        message = str(told)
    fold._step = taken
    fold.train_fold(stopped, "3d", 0, device="cuda", workers=0)
    one, other = (load_file(run.weights("3d", 0)) for run in (whole, stopped))
    return {"told": message, "equal": all(bool((one[name] == other[name]).all()) for name in one)}


def waits_of_a_step(folder: Path) -> dict[str, Any]:
    """What waits for the card in twenty steps of a fold: how often each function of the project, by operator.

    Once with patches that processes augment, and once with patches that get every transform on the card.
    """
    from trainer.data import intensity, spatial

    for name in ("NOISE", "BLUR", "BRIGHTNESS", "CONTRAST", "LOW_RESOLUTION", "INVERTED_GAMMA", "GAMMA", "CHANNEL"):
        setattr(intensity, name, 1.0)
    spatial.ROTATION_PROBABILITY = 0.5
    return {way: _waits(folder / way, way) for way in ("workers", "device")}


def _waits(folder: Path, augment_on: str) -> dict[str, int]:
    from tests.pretended_gpu import cards
    from tests.trainer.tiny_run import make_run, make_training
    from trainer import fold

    settings = {"lesion_loss": 0.3, "iterations": 40, "iterations_per_epoch": 40, "contrast_maps": 1.0, "elastic": 0.5}
    run = make_run(folder, make_training(augment_on=augment_on, **settings))
    taken, counted = fold._step, Counter[str]()

    def step(task: Any, batch: Any) -> None:
        if task.state.step == 10:
            cards.waits.clear()
        if task.state.step == 30:
            counted.update(f"{operator} in {function}" for operator, function in cards.waits)
        taken(task, batch)

    fold._step = step
    fold.train_fold(run, "3d", 0, device="cuda", workers=0)
    fold._step = taken
    return dict(counted)


def planted(folder: Path) -> dict[str, Any]:
    """A tensor that is left on the card must be noticed, or this test could not fail."""
    import torch

    from tests.trainer.tiny_run import make_run, make_training
    from trainer import learner
    from trainer.fold import train_fold

    found = {}
    right = learner.deep_supervision_loss

    def wrong_loss(logits: Any, label: torch.Tensor, *rest: Any) -> torch.Tensor:
        return right(logits, label.cpu(), *rest)

    learner.deep_supervision_loss = wrong_loss
    try:
        train_fold(make_run(folder / "run", make_training()), "3d", 0, device="cuda", workers=0)
    except RuntimeError as error:
        found["told"] = str(error)
    return found


SCENARIOS = {
    "whole-fold": whole_fold,
    "second-card": second_card,
    "resumed": resumed,
    "waits": waits_of_a_step,
    "planted": planted,
}

if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
