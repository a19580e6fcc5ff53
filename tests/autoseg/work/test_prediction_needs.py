"""Parts are so long that starting them is a small share of their time; what they need follows from the RUN."""

import pytest

from autoseg.plan.plan import read_plan
from autoseg.run_folder.finished_fold import read_finished, write_finished
from autoseg.work.prediction_needs import (
    SECONDS_TO_START,
    SHARE_OF_STARTING,
    needs_of_a_part,
    number_of_parts,
    seconds_of_a_case,
)
from autoseg.work.prediction_request import PredictionOptions
from autoseg.work.request import MOST_PARTS
from tests.tiny_models import make_models

OPTIONS = PredictionOptions("run", ("scans",))


@pytest.fixture
def run(tmp_path):
    """Two folds of three validation cases each: one took 30 s on a CPU, the other 60 s."""
    run = make_models(tmp_path / "run")
    for fold in range(2):
        finished = read_finished(run, "3d", fold)
        assert finished is not None
        dice = {f"case_{number}": [0.5, 0.5] for number in range(3)}
        write_finished(run, "3d", fold, finished.changed(dice=dice, seconds_validation=30.0 * (fold + 1), device="cpu"))
    return run


@pytest.mark.parametrize(
    ("cases", "seconds", "parts"),
    [
        (10_000, 4.0, 10_000 // 95),
        (10_000, 60.0, MOST_PARTS),
        (12, 4.0, 1),
        (100, 10_000.0, 100),
        (1, 0.0, 1),
        (9, None, 1),
        (30, None, 3),
        (10_000, None, 16),
    ],
)
def test_parts_are_long_enough(cases, seconds, parts):
    assert number_of_parts(cases, seconds) == parts
    if seconds and parts > 1:
        of_a_part = cases / parts * seconds
        assert SECONDS_TO_START / (SECONDS_TO_START + of_a_part) <= SHARE_OF_STARTING


@pytest.mark.parametrize(
    ("options", "device", "seconds"),
    [
        ({}, "cpu", 30.0),
        ({"fold": (1,)}, "cpu", 20.0),
        ({}, "cuda", None),
        ({"mirror": True}, "cpu", None),
    ],
)
def test_a_case_takes_what_validation_took_for_every_model(run, options, device, seconds):
    asked = PredictionOptions("run", ("scans",), **options)
    assert seconds_of_a_case(run, ["3d"], asked, device) == seconds


def test_what_a_part_needs(run):
    plan = read_plan(run.plan)
    parts, needs = needs_of_a_part(run, plan, ["3d"], PredictionOptions("r", ("s",), device="cpu", threads=3), 40)
    assert (parts, needs.cores, needs.gpus, needs.seconds) == (3, 3, 0, 60.0 + 14 * 30.0)
    _, on_gpu = needs_of_a_part(run, plan, ["3d"], PredictionOptions("r", ("s",), device="cuda"), 40)
    assert (on_gpu.gpus, on_gpu.seconds) == (1, None)
    assert needs.memory_bytes is not None and on_gpu.memory_bytes is not None
    assert needs.memory_bytes - on_gpu.memory_bytes == int(plan.memory_gb * 2**30)
