"""(d) Four epochs of a fold of hippocampus size: seconds of a step in training beside those of a step alone."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pandas as pd

from autoseg.plan.plan import read_plan
from autoseg.run_folder.finished_fold import read_finished
from autoseg.run_folder.paths import RunFolder
from benchmarks.gpu.__main__ import Answers
from benchmarks.gpu.cases import write_run
from benchmarks.gpu.plans import kinds, planned
from trainer.fold import train_fold
from trainer.measure import measure_step

EPOCHS = 4


def measure(device: str, data: Path | None, answers: Answers) -> None:
    on_cpu = device == "cpu"
    kind = kinds("cpu" if on_cpu else "cuda")["hippocampus"]
    plan, _ = planned(kind)
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder(Path(folder) / "run")
        steps = 2 if on_cpu else 50
        write_run(run, plan, "3d", kind.shape, 12, iterations=EPOCHS * steps, iterations_per_epoch=steps)
        plan = read_plan(run.plan)
        answers["bare step"] = measure_step(plan, plan.configuration("3d"), device).seconds
        train_fold(run, "3d", 0, device=device)
        log = pd.read_csv(run.fold("3d", 0) / "log.csv")
        finished = read_finished(run, "3d", 0)
    assert finished is not None
    # in the first epoch the device warms up, and convolutions are searched for
    answers["step in training"] = (log["seconds"].iloc[-1] - log["seconds"].iloc[0]) / (steps * (EPOCHS - 1))
    answers["validation"] = finished.seconds_validation
