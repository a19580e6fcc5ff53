"""Folds that see neighbouring slices, or some of the sequences of cases that do not all have them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from autoseg.errors import RunFolderError
from autoseg.image.image import read_label
from autoseg.network.weights import load_network
from autoseg.plan.configuration import Configuration
from autoseg.plan.network_input import InputLayout, input_channels
from autoseg.plan.plan import Plan, read_plan, write_plan
from autoseg.run_folder.finished_fold import Finished, read_finished, read_finished_folds, refuse_other_splits
from autoseg.run_folder.fold_cases import splits_of_configuration
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import Split, read_splits, write_splits
from autoseg.run_folder.trained_by import refuse_other_plan_than_trained
from tests.example_plan import example_network
from tests.trainer.tiny_run import SHAPE, draw_ball, make_plan, make_training, store_case
from trainer.fold import train_fold
from trainer.measure import measure_step

NAMES = tuple(f"ball_{i}" for i in range(6))
LACKS_T2 = ("ball_1", "ball_5")
FLAT = example_network(features=(8, 16), strides=((1, 1, 1), (1, 2, 2)), kernel_sizes=((1, 3, 3), (1, 3, 3)))


def two_sequences(**training: object) -> Plan:
    """T1 and T2; configurations that read the cases of `3d`."""
    plan = make_plan(make_training(**{"iterations": 4, "validate_every": 0} | training))
    (t1,) = plan.channels
    whole = plan.configurations["3d"]
    rotation = whole.training.changed(rotation=(30.0, 0.0, 0.0), mirror=(1, 2))
    flat = whole.changed(
        patch_size=(1, 16, 20), batch_size=8, slice_axis=0, network=FLAT, training=rotation, preprocessed_as="3d"
    )
    configurations: dict[str, Configuration] = {
        "3d": whole.changed(availability_code=True),
        "all.2d": flat,
        "T1.2.5d": flat.changed(sequences=("T1",), neighbours=2),
        "T2.3d": whole.changed(sequences=("T2",), preprocessed_as="3d"),
    }
    return plan.changed(channels=(t1, t1.changed(name="T2")), configurations=configurations)


def write_ball(run: RunFolder, name: str, rng: np.random.Generator) -> None:
    """A ball that T1 shows and T2, where there is one, does not."""
    label = draw_ball(rng)
    image = rng.normal(0, 0.5, (2, *SHAPE)).astype(np.float32)
    image[0] += 3 * label
    present = (True, name not in LACKS_T2)
    image[~np.array(present)] = 0
    store_case(run, name, image, label, present)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    run, rng = RunFolder(tmp_path / "run"), np.random.default_rng(0)
    for name in NAMES:
        write_ball(run, name, rng)
    write_splits(run.splits, (Split(train=NAMES[:4], val=NAMES[4:]), Split(train=LACKS_T2, val=NAMES[2:5])))
    return run


def plan_of(run: RunFolder, **training: object) -> Plan:
    write_plan(run.plan, two_sequences(**training), {})
    return read_plan(run.plan)


def finished(run: RunFolder, name: str) -> Finished:
    done = read_finished(run, name, 0)
    assert done is not None
    return done


@pytest.mark.parametrize(("name", "channels"), [("3d", 4), ("all.2d", 2), ("T1.2.5d", 5), ("T2.3d", 1)])
def test_a_fold_is_trained_on_what_its_configuration_sees(run, name: str, channels: int) -> None:
    plan = plan_of(run)
    assert len(input_channels(plan, plan.configuration(name))) == channels
    train_fold(run, name, 0, device="cpu", workers=0)
    entry = [v for k, v in load_file(run.weights(name, 0)).items() if k.startswith("encoder.stages.0.0.")]
    assert sum(v.shape[1] for v in entry if v.ndim in (2, 5)) == channels, "images, and codes apart"
    network = load_network(run, plan, name, 0, "cpu")
    assert network(torch.zeros(1, channels, *plan.configuration(name).patch_size)).shape[1] == 2
    assert run.cross_validation(name).is_dir()
    assert not run.preprocessed(name).exists() or name == "3d"
    assert 0 < measure_step(plan, plan.configuration(name), "cpu", steps=1).seconds < 30


@pytest.mark.parametrize(("pays", "units", "share"), [(False, False, 1 / 3), (True, False, 1 / 3), (True, True, 1 / 8)])
def test_a_forward_pass_is_a_smaller_share_of_a_step_where_prediction_alone_is_in_half_precision(
    run, monkeypatch, pays: bool, units: bool, share: float
) -> None:
    monkeypatch.setattr("autoseg.machine.device.bfloat16_pays", lambda: pays)
    monkeypatch.setattr("autoseg.machine.device.has_matrix_units", lambda: units)
    plan = plan_of(run)
    assert measure_step(plan, plan.configuration("3d"), "cpu", steps=1).forward_share == share


def test_cases_without_a_seen_sequence_take_no_part(run) -> None:
    plan = plan_of(run)
    train_fold(run, "T2.3d", 0, device="cpu", workers=0)
    done = finished(run, "T2.3d")
    assert done.train == ("ball_0", "ball_2", "ball_3")
    assert set(done.dice) == {"ball_4"}
    assert [file.name for file in run.cross_validation("T2.3d").glob("*.nii.gz")] == ["ball_4.nii.gz"]
    splits = read_splits(run.splits)
    of_folds = read_finished_folds(run, "T2.3d", range(len(splits)))
    refuse_other_splits(run, "T2.3d", splits_of_configuration(run, plan, "T2.3d", splits), of_folds)
    with pytest.raises(RunFolderError, match="another split"):
        refuse_other_splits(run, "T2.3d", splits, of_folds)


def test_a_network_is_not_taken_for_one_of_another_plan(run) -> None:
    plan = plan_of(run)
    train_fold(run, "3d", 0, device="cpu", workers=0)
    planned = plan.configuration("3d")

    def with_changed(**fields: object) -> Plan:
        return plan.changed(configurations={"3d": planned.changed(**fields)})

    longer = planned.training.changed(iterations=1000)
    mirrored = planned.prediction.changed(mirror=(0,))
    refuse_other_plan_than_trained(run, with_changed(training=longer, prediction=mirrored), "3d")
    z, y, x = planned.target_spacing((1.0, 1.0, 1.0))
    with pytest.raises(
        RunFolderError, match=r"fold_0: fold 0 of 3d was trained .* \(differing: configuration\.spacing\)"
    ):
        refuse_other_plan_than_trained(run, with_changed(spacing=(2 * z, y, x)), "3d")
    as_ct = plan.channels[0].changed(normalization="ct")
    with pytest.raises(RunFolderError, match="differing: channels"):
        changed = plan.changed(channels=(as_ct, *plan.channels[1:]))
        refuse_other_plan_than_trained(run, changed, "3d")


def test_a_fold_without_any_case_to_train_on_says_so(run) -> None:
    plan_of(run)
    with pytest.raises(RunFolderError, match=r"fold 1 of T2\.3d has no training case"):
        train_fold(run, "T2.3d", 1, device="cpu", workers=0)


def test_2_5d_learns_and_predicts_whole_cases(run) -> None:
    plan_of(run, iterations=150, iterations_per_epoch=50, learning_rate=0.02, validate_every=1)
    train_fold(run, "T1.2.5d", 0, device="cpu", workers=0)
    done = finished(run, "T1.2.5d")
    assert set(done.dice) == {"ball_4", "ball_5"}
    assert min(dice[0] or 0.0 for dice in done.dice.values()) > 0.8
    assert set(np.unique(read_label(run.cross_validation("T1.2.5d") / "ball_4.nii.gz").array)) == {0, 5}


def test_a_learned_network_can_do_without_a_sequence(run) -> None:
    """T2 shows nothing of the ball: with dropout, a network that has T1 alone finds it as well."""
    plan = plan_of(run, iterations=250, iterations_per_epoch=50, learning_rate=0.02, sequence_dropout=0.5)
    train_fold(run, "3d", 0, device="cpu", workers=0)
    # ball_4 has both, ball_5 only T1
    assert min(dice[0] or 0.0 for dice in finished(run, "3d").dice.values()) > 0.7
    assert InputLayout.of(plan, plan.configuration("3d")).available((True, False)) == (True, False)
