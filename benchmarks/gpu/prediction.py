"""(e) Prediction of an image of 512×512×400: network and export, one and five folds, by number of classes."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import numpy as np
import torch

from autoseg.machine.device import computing_on, resolve_device
from autoseg.whole_image.patch_probabilities import mean_probabilities
from autoseg.whole_image.prepared_case import predict_prepared_case
from benchmarks.gpu.__main__ import Answers
from benchmarks.gpu.plans import Kind, planned
from trainer.learner import Learner
from trainer.validation import evaluation_network

CLASSES, FOLDS = (2, 25, 118), (1, 5)


def measure(device: str, data: Path | None, answers: Answers) -> None:
    where = resolve_device(device)
    large = where.type == "cuda"
    shape = (400, 512, 512) if large else (24, 32, 32)
    image = np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)
    for classes in CLASSES if large else CLASSES[:2]:
        plan, configuration = planned(Kind((160, 200, 200) if large else (16, 24, 24), classes=classes - 1))
        with computing_on(where):
            weights = Learner(plan, configuration, configuration.training, torch.device("cpu"), seed=1).average
            for folds in FOLDS:
                networks = tuple(evaluation_network(plan, configuration, weights, where) for _ in range(folds))
                started = time.perf_counter()
                found = predict_prepared_case(
                    partial(mean_probabilities, networks),
                    image,
                    (True,),
                    plan=plan,
                    configuration=configuration,
                    mirror=(),
                    device=where,
                )
                predicted = time.perf_counter()
                found.argmax(0)
                answers[f"{classes} classes, {folds} folds"] = {
                    "network": round(predicted - started, 2),
                    "labels": round(time.perf_counter() - predicted, 2),
                }
