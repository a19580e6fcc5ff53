"""A RUN folder with networks of a few weights that nobody trained; their predictions are arbitrary, but definite."""

from pathlib import Path

import torch

from autoseg.dataset.fingerprint import write_fingerprint
from autoseg.image.labels import LabelRegion, Labels
from autoseg.network.build import build_network
from autoseg.network.weights import save_weights
from autoseg.plan.configuration import Prediction
from autoseg.plan.network_input import InputLayout
from autoseg.plan.plan import ForegroundIntensity, write_plan
from autoseg.run_folder.finished_fold import write_finished
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import Split
from planner.rules.reference_plan import reference_plan
from tests.example_fingerprint import example_case_fingerprint, example_fingerprint, one_structure
from tests.example_fold import finished_fold
from tests.example_plan import example_network

SHAPE, SPACING = (8, 24, 28), (4.0, 1.0, 1.0)
"""Of the training cases, (z, y, x) in voxels and mm."""

LABELS = Labels(values=(0, 3, 700), names=("background", "body", "lesion"))
REGIONS = LABELS.changed(
    regions=(
        LabelRegion(name="whole", values=(3, 700), value=3),
        LabelRegion(name="core", values=(700,), value=700),
    )
)


def make_models(
    folder: Path, sequences: tuple[str, ...] = ("T1",), *, folds: int = 2, labels: Labels = LABELS, two: bool = False
) -> RunFolder:
    """A run of one configuration, 3d, or of `two`, 2d and 3d."""
    cases = [
        example_case_fingerprint(
            f"case_{i}",
            shape=SHAPE,
            spacing=SPACING,
            present=(True,) * len(sequences),
            classes={name: one_structure(100.0) for name in labels.foreground},
        )
        for i in range(3)
    ]
    intensity = ForegroundIntensity(mean=100, sd=20, median=100, percentile_00_5=50, percentile_99_5=150)
    measured = example_fingerprint(cases, channels=sequences, labels=labels, intensities=(intensity,) * len(sequences))
    run = RunFolder(folder)
    run.path.mkdir(parents=True)
    write_fingerprint(run.fingerprint, measured)
    decided = reference_plan(measured)
    names = ("2d", "3d") if two else ("3d",)
    plan = decided.plan.changed(configurations={name: _small(decided.plan, name) for name in names})
    write_plan(run.plan, plan, {})
    torch.manual_seed(0)
    for name in names:
        configuration = plan.configuration(name)
        inputs = len(InputLayout.of(plan, configuration).channels)
        for fold in range(folds):
            network = build_network(configuration.network, inputs, plan.labels.outputs)
            with torch.no_grad():
                for parameter in network.parameters():
                    parameter.add_(0.5 * torch.randn(parameter.shape))
            save_weights(run.weights(name, fold), network.state_dict())
            write_finished(run, name, fold, finished_fold(fold, Split(train=(), val=())))
    return run


def _small(plan, name):
    full, thin = plan.configuration(name), name == "2d"
    network = example_network(
        features=(4, 8),
        strides=((1, 1, 1), (1, 2, 2)),
        kernel_sizes=((1, 3, 3) if thin else (3, 3, 3),) * 2,
        encoder_blocks=(1, 1),
        decoder_blocks=(1,),
    )
    patch = (1, 16, 16) if thin else (8, 16, 16)
    return full.changed(patch_size=patch, batch_size=2, network=network, prediction=Prediction(overlap=0.5, mirror=()))
