"""Makes models of five untrained folds, which take as much time and memory in prediction as trained ones."""

from __future__ import annotations

from pathlib import Path

import torch

from autoseg.network.build import network_by_plan
from autoseg.network.weights import save_weights
from autoseg.plan.plan import Plan, read_plan, read_reasons, write_plan
from autoseg.run_folder.paths import RunFolder
from benchmarks.beside.bench import Bench

FOLDS = 5
CONFIGURATION = "3d"


def planned_network(bench: Bench, name: str) -> RunFolder:
    """Run with five folds of the network that autoseg plans for its default time."""
    run = bench.planned(name)
    _write_weights(run, read_plan(run.plan))
    return run


def reference_network(bench: Bench, name: str) -> RunFolder:
    """Run of autoseg with five folds of the network that nnU-Net plans, and with nnU-Net's mirroring."""
    planned = bench.planned(name)
    run = RunFolder(bench.folder / "reference" / name)
    plan = read_plan(planned.reference_plan)
    for source, target in ((planned.fingerprint, run.fingerprint), (planned.dataset, run.dataset)):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    write_plan(run.plan, plan, read_reasons(planned.reference_plan))
    _write_weights(run, plan)
    return run


def rivals_network(bench: Bench, name: str) -> Path:
    """Folder of nnU-Net's model with five folds; it is made where it is missing."""
    preprocessed = bench.preprocessed_by_rival(name)
    results = bench.rival.folder / "results" / preprocessed.name / "nnUNetTrainer__nnUNetPlans__3d_fullres"
    if not (results / f"fold_{FOLDS - 1}" / "checkpoint_final.pth").exists():
        bench.rival.ask("untrained", [preprocessed / "nnUNetPlans.json", preprocessed / "dataset.json"])
    return results


def _write_weights(run: RunFolder, plan: Plan) -> None:
    for fold in range(FOLDS):
        if not run.weights(CONFIGURATION, fold).exists():
            torch.manual_seed(fold)
            network = network_by_plan(plan, plan.configuration(CONFIGURATION))
            save_weights(run.weights(CONFIGURATION, fold), network.state_dict())
