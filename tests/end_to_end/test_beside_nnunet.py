"""Regions and ignored voxels beside nnU-Net's own functions, on small random arrays."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from autoseg.dataset.dataset_json import labels_of
from autoseg.image.geometry import IDENTITY, Geometry
from autoseg.image.labels import Labels
from autoseg.metrics import case_metrics
from autoseg.run_folder.preprocessed_case import CaseRecord
from autoseg.whole_image.export import export_labels
from tests import second_opinions
from trainer.label_loss import loss_of

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-second-opinions/bin/python"
SHAPE = (5, 6, 7)
NESTED = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3}
# what is written last wins: the order decides here, since the regions lie beside and across each other
ACROSS = {"background": 0, "a": [1, 2], "b": [2, 3], "c": 1}
KINDS: dict[str, tuple[dict[str, int | list[int]], list[int] | None]] = {
    "nested": (NESTED, [1, 2, 3]),
    "written in another order": (dict(reversed(NESTED.items())), [3, 2, 1]),
    "across": (ACROSS, [2, 3, 1]),
    "ignore": ({"background": 0, "a": 1, "b": 2, "ignore": 3}, None),
    "nested and ignore": (NESTED | {"ignore": 4}, [1, 2, 3]),
    "classes": ({"background": 0, "a": 1, "b": 2}, None),
}


def labels(name: str) -> Labels:
    declared, order = KINDS[name]
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in declared.items()}
    return labels_of(values, Path("dataset.json"), order)


def drawn(name: str) -> dict[str, np.ndarray]:
    """Logits (B, K, z, y, x) and label maps (B, z, y, x), half of whose voxels are ignored where any are."""
    random, of = np.random.default_rng(sorted(KINDS).index(name)), labels(name)
    reference = random.integers(0, of.classes, (2, *SHAPE))
    if of.ignore is not None:
        reference[:, 2:] = np.where(random.random((2, 3, *SHAPE[1:])) < 0.9, of.ignore, reference[:, 2:])
    return {
        "logits": random.normal(0, 2, (2, of.outputs, *SHAPE)).astype(np.float32),
        "reference": reference.astype(np.int16),
        "prediction": random.integers(0, of.classes, (2, *SHAPE)).astype(np.int16),
    }


@pytest.fixture(scope="module")
def nnunet(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """What nnU-Net says of each kind."""
    if not list(PYTHON.parents[1].glob("lib/*/site-packages/nnunetv2")):
        pytest.skip("nnU-Net is not installed; .ci/install-second-opinions does it")
    folder = tmp_path_factory.mktemp("nnunet")
    arrays = {f"{name}_{what}": array for name in KINDS for what, array in drawn(name).items()}
    asked = {
        f"{name}_{what}": json.dumps(KINDS[name][i]) for name in KINDS for i, what in enumerate(("labels", "order"))
    }
    np.savez(folder / "asked.npz", names=list(KINDS), **arrays, **asked)
    program = Path(second_opinions.__file__).with_name("nnunet_labels.py")
    command = [PYTHON, program, folder / "asked.npz", folder / "found.json"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    found: dict[str, dict] = json.loads((folder / "found.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("name", KINDS)
def test_label_maps_are_nnunets(nnunet: dict[str, dict], name: str) -> None:
    of, logits = labels(name), torch.from_numpy(drawn(name)["logits"])
    assert of.outputs == nnunet[name]["outputs"]
    geometry = Geometry(SHAPE, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), ((0, 0, 1), (0, 1, 0), (1, 0, 0)))
    record = CaseRecord(
        case="a",
        stored=geometry,
        reorientation=IDENTITY,
        crop_lower=(0, 0, 0),
        crop_upper=SHAPE,
        spacing=geometry.spacing,
        shape=SHAPE,
        present=(True,),
    )
    probability: Callable[[torch.Tensor], torch.Tensor] = torch.sigmoid if of.overlapping else lambda x: x.softmax(0)
    for one, expected in zip(logits, nnunet[name]["label_map"], strict=True):
        made = export_labels(probability(one).numpy(), record, of).array[0]
        np.testing.assert_array_equal(made, expected)


@pytest.mark.parametrize("name", KINDS)
def test_the_loss_is_nnunets(nnunet: dict[str, dict], name: str) -> None:
    of, arrays = labels(name), drawn(name)
    classes = torch.from_numpy(of.to_classes(arrays["reference"]))
    found = [loss_of(of)(torch.from_numpy(arrays["logits"]), classes, together).item() for together in (False, True)]
    expected, dice = (np.array(nnunet[name][key]) for key in ("loss", "dice_loss"))
    # with both nnU-Net sums the cross-entropy over the regions, of which it takes the mean otherwise
    regions = len(of.regions) if of.regions and of.ignore is not None else 1
    np.testing.assert_allclose(found, dice + (expected - dice) / regions, rtol=1e-5)


@pytest.mark.parametrize("name", KINDS)
def test_metrics_are_nnunets(nnunet: dict[str, dict], name: str) -> None:
    of, arrays = labels(name), drawn(name)
    rows = case_metrics("a", arrays["reference"][0], arrays["prediction"][0], (1, 1, 1), of, surfaces=False)
    assert [row.class_name for row in rows] == list(of.foreground)
    for row, expected in zip(rows, nnunet[name]["metrics"], strict=True):
        counts = row.counts
        assert (counts.tp, counts.fp, counts.fn, counts.tn) == tuple(expected[k] for k in ("TP", "FP", "FN", "TN"))
        assert row.dice == pytest.approx(expected["Dice"])
