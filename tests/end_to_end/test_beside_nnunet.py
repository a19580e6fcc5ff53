"""Regions and ignored voxels beside nnU-Net's own functions, on small random arrays and on abdominal organs."""

import json
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
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
Arrays = dict[str, dict[str, np.ndarray]]
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
# of real cases: liver 1, right and left kidney 2 and 3, spleen 4
ORGANS = "organs"
KINDS[ORGANS] = ({"background": 0, "any organ": [1, 2, 3, 4], "kidneys": [2, 3], "liver": 1}, [4, 2, 1])


def labels(name: str) -> Labels:
    declared, order = KINDS[name]
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in declared.items()}
    return labels_of(values, Path("dataset.json"), order)


def drawn(name: str) -> dict[str, np.ndarray]:
    """Logits (B, K, z, y, x) and label maps (B, z, y, x), half of whose voxels are ignored where any are."""
    random, of = np.random.default_rng(list(KINDS).index(name)), labels(name)
    reference = random.integers(0, of.classes, (2, *SHAPE))
    if of.ignore is not None:
        reference[:, 2:] = np.where(random.random((2, 3, *SHAPE[1:])) < 0.9, of.ignore, reference[:, 2:])
    return {
        "logits": random.normal(0, 2, (2, of.outputs, *SHAPE)).astype(np.float32),
        "reference": reference.astype(np.int16),
        "prediction": random.integers(0, of.classes, (2, *SHAPE)).astype(np.int16),
    }


def organs(data: Path) -> dict[str, np.ndarray]:
    """As `drawn`, of every fourth voxel of three abdominal cases; one is the prediction of the other two."""
    files = sorted((data / "abdomen20" / "labelsTr").glob("*.nii.gz"))[:3]
    first, second, third = (sitk.GetArrayFromImage(sitk.ReadImage(file))[:28:4, ::4, ::4] for file in files)
    of, reference, prediction = labels(ORGANS), np.stack([first, second]), np.stack([third, third])
    random = np.random.default_rng(0)
    logits = np.stack(
        [[np.where(np.isin(one, region.values), 3, -3) for region in of.regions] for one in prediction]
    ) + random.normal(0, 2, (2, of.outputs, *first.shape))
    return {
        "logits": logits.astype(np.float32),
        "reference": reference.astype(np.int16),
        "prediction": prediction.astype(np.int16),
    }


@pytest.fixture(scope="module")
def arrays(request: pytest.FixtureRequest) -> Arrays:
    """Logits and label maps of each kind; without organs where the real data sets are not at hand."""
    made = {name: drawn(name) for name in KINDS if name != ORGANS}
    with suppress(pytest.skip.Exception):
        made[ORGANS] = organs(request.getfixturevalue("test_data"))
    return made


@pytest.fixture(params=list(KINDS))
def name(request: pytest.FixtureRequest, arrays: Arrays) -> str:
    """Each kind for which there are arrays."""
    if request.param not in arrays:
        pytest.skip("real data sets are not at hand; AUTOSEG_TEST_DATA names their folder")
    return str(request.param)


@pytest.fixture(scope="module")
def nnunet(arrays: Arrays, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """What nnU-Net says of each kind."""
    if not list(PYTHON.parents[1].glob("lib/*/site-packages/nnunetv2")):
        pytest.skip("nnU-Net is not installed; .ci/install-second-opinions does it")
    folder = tmp_path_factory.mktemp("nnunet")
    given = {f"{name}_{what}": array for name, of_kind in arrays.items() for what, array in of_kind.items()}
    asked = {
        f"{name}_{what}": json.dumps(KINDS[name][i]) for name in arrays for i, what in enumerate(("labels", "order"))
    }
    np.savez(folder / "asked.npz", names=list(arrays), **given, **asked)
    program = Path(second_opinions.__file__).with_name("nnunet_labels.py")
    command = [PYTHON, program, folder / "asked.npz", folder / "found.json"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    found: dict[str, dict] = json.loads((folder / "found.json").read_text(encoding="utf-8"))
    return found


def test_label_maps_are_nnunets(nnunet: dict[str, dict], arrays: Arrays, name: str) -> None:
    of, logits = labels(name), torch.from_numpy(arrays[name]["logits"])
    depth, height, width = logits.shape[2:]
    shape = depth, height, width
    assert of.outputs == nnunet[name]["outputs"]
    geometry = Geometry(shape, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), ((0, 0, 1), (0, 1, 0), (1, 0, 0)))
    record = CaseRecord(
        case="a",
        stored=geometry,
        reorientation=IDENTITY,
        crop_lower=(0, 0, 0),
        crop_upper=shape,
        spacing=geometry.spacing,
        shape=shape,
        present=(True,),
    )
    probability: Callable[[torch.Tensor], torch.Tensor] = torch.sigmoid if of.overlapping else lambda x: x.softmax(0)
    for one, expected in zip(logits, nnunet[name]["label_map"], strict=True):
        made = export_labels(probability(one).numpy(), record, of).array[0]
        np.testing.assert_array_equal(made, expected)


def test_the_loss_is_nnunets(nnunet: dict[str, dict], arrays: Arrays, name: str) -> None:
    of, given = labels(name), arrays[name]
    classes = torch.from_numpy(of.to_classes(given["reference"]))
    found = [loss_of(of)(torch.from_numpy(given["logits"]), classes, together).item() for together in (False, True)]
    expected, dice = (np.array(nnunet[name][key]) for key in ("loss", "dice_loss"))
    # with both nnU-Net sums the cross-entropy over the regions, of which it takes the mean otherwise
    regions = len(of.regions) if of.regions and of.ignore is not None else 1
    np.testing.assert_allclose(found, dice + (expected - dice) / regions, rtol=1e-5)


def test_metrics_are_nnunets(nnunet: dict[str, dict], arrays: Arrays, name: str) -> None:
    of, given = labels(name), arrays[name]
    rows = case_metrics("a", given["reference"][0], given["prediction"][0], (1, 1, 1), of, surfaces=False)
    assert [row.class_name for row in rows] == list(of.foreground)
    for row, expected in zip(rows, nnunet[name]["metrics"], strict=True):
        counts = row.counts
        assert (counts.tp, counts.fp, counts.fn, counts.tn) == tuple(expected[k] for k in ("TP", "FP", "FN", "TN"))
        assert row.dice == pytest.approx(expected["Dice"])
