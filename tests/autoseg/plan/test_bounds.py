"""Foolish edits of plan.yaml are refused by name before any work, with the value that was planned."""

from __future__ import annotations

import math

import pytest
from ruamel.yaml import YAML

from autoseg.errors import PlanError, RunFolderError
from autoseg.plan.plan import PLANNED_NAME, read_plan, write_plan
from tests.example_plan import example_plan

TRAINING = "configurations.3d.training"
NETWORK = "configurations.3d.network"

FOOLISH = [
    ("seed", -1),
    ("memory_gb", -5),
    ("memory_gb", math.nan),
    ("time_budget_seconds", -5),
    ("time_budget_seconds", math.nan),
    ("device", "gpu"),
    ("transpose_forward", [0, 0, 2]),
    ("channels", []),
    ("channels.0.foreground.sd", -1),
    ("channels.0.foreground.percentile_00_5", 300),
    ("configurations", {}),
    ("configurations.3d.spacing", [-1, 1, 1]),
    ("configurations.3d.spacing", [1e6, 1, 1]),
    ("configurations.3d.spacing", [math.nan, 1, 1]),
    ("configurations.3d.spacing", [None, 1, 1]),
    ("configurations.3d.median_shape", [math.nan, 32, 32]),
    ("configurations.3d.patch_size", [0, 16, 16]),
    ("configurations.3d.patch_size", [8192, 8192, 8192]),
    ("configurations.3d.batch_size", 1_000_000),
    ("configurations.3d.slice_axis", 0),
    ("configurations.3d.neighbours", -1),
    ("configurations.3d.preprocessed_as", "../../victim"),
    ("configurations.3d.prediction.overlap", 0.999),
    ("configurations.3d.prediction.mirror", [7]),
    (f"{NETWORK}.features", [0, 16]),
    (f"{NETWORK}.features", [-4, 16]),
    (f"{NETWORK}.kernel_sizes", [[3, 3, 3], [2, 3, 3]]),
    (f"{NETWORK}.kernel_sizes", [[3, 3, 3], [17, 3, 3]]),
    (f"{NETWORK}.strides", [[1, 1, 1], [0, 2, 2]]),
    (f"{NETWORK}.strides", [[1, 1, 1], [-2, 2, 2]]),
    (f"{NETWORK}.strides", [[2, 2, 2], [1, 1, 1]]),
    (f"{NETWORK}.encoder_blocks", [0, 2]),
    (f"{NETWORK}.decoder_blocks", []),
    (f"{TRAINING}.iterations", 0),
    (f"{TRAINING}.iterations", 10**12),
    (f"{TRAINING}.learning_rate", math.inf),
    (f"{TRAINING}.weight_decay", math.inf),
    (f"{TRAINING}.weight_decay", -0.1),
    (f"{TRAINING}.gradient_clip", math.nan),
    (f"{TRAINING}.rotation", [math.nan, 0, 0]),
    (f"{TRAINING}.rotation", [1e308, 0, 0]),
    (f"{TRAINING}.scaling", [1.3, 0.7]),
    (f"{TRAINING}.scaling", [0.0, 1.0]),
    (f"{TRAINING}.mirror", [0, 0]),
    (f"{TRAINING}.seconds", -5),
    (f"{TRAINING}.seconds", math.nan),
    (f"{TRAINING}.validation_seconds", -1),
    (f"{TRAINING}.lesion_loss", 1e9),
]


def edit(path, field, value):
    """Change one field of a plan file, named by its dotted path, as a person does in an editor."""
    yaml = YAML()
    document = yaml.load(path.read_text(encoding="utf-8"))
    *parents, last = field.split(".")
    node = document
    for key in parents:
        node = node[int(key) if isinstance(node, list) else key]
    node[last] = value
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(document, file)


@pytest.fixture
def path(tmp_path):
    write_plan(tmp_path / "plan.yaml", example_plan(), {})
    write_plan(tmp_path / PLANNED_NAME, example_plan(), {})
    return tmp_path / "plan.yaml"


@pytest.mark.parametrize(("field", "value"), FOOLISH, ids=lambda value: str(value)[-40:])
def test_a_foolish_edit_is_refused_by_its_name(path, field, value):
    assert read_plan(path) == example_plan()
    edit(path, field, value)
    with pytest.raises(PlanError) as refused:
        read_plan(path)
    # a rule across fields names the field in its sentence
    assert field.split(".")[-1] in str(refused.value)


def test_all_are_told_at_once_with_what_was_planned(path):
    edit(path, "seed", -1)
    edit(path, f"{TRAINING}.learning_rate", math.inf)
    edit(path, f"{NETWORK}.features", [0, 16])
    with pytest.raises(PlanError) as refused:
        read_plan(path)
    told = str(refused.value)
    assert "seed: " in told and "(it is -1, planned was 1)" in told
    assert f"{TRAINING}.learning_rate: " in told and "planned was 0.01" in told
    assert f"{NETWORK}.features.0: " in told and "(it is 0, planned was 4)" in told


def test_a_name_that_leads_out_of_the_run_is_refused(path):
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("  3d:", "  ../victim:"), encoding="utf-8")
    with pytest.raises(PlanError, match=r"the name '\.\./victim' holds"):
        read_plan(path)


def test_a_folder_or_an_endless_nesting_in_its_place_is_told(tmp_path):
    (tmp_path / "plan.yaml").mkdir()
    with pytest.raises(RunFolderError, match="is a folder"):
        read_plan(tmp_path / "plan.yaml")
    deep = tmp_path / "deep.yaml"
    deep.write_text("[" * 10_000 + "]" * 10_000, encoding="utf-8")
    with pytest.raises(PlanError, match="deeper"):
        read_plan(deep)
