"""Prediction by several configurations together, and by what was selected."""

import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console
from scipy import ndimage

import autoseg
import inference.ensemble
from autoseg.dataset.inputs import read_inputs
from autoseg.errors import ImageError, RunFolderError
from autoseg.image.image import read_image, read_label
from autoseg.run_folder.finished_fold import write_finished
from autoseg.run_folder.selection import CandidateScore, ClassRule, Performance, Selection, write_selection
from autoseg.run_folder.splits import Split
from inference.ensemble_groups import Group, groups_that_see
from tests.example_fold import finished_fold
from tests.example_plan import example_channel, example_plan
from tests.inference.bright_run import AboveMean, predict, run, voxels, write
from tests.words import on_one_line

__all__ = ["run"]

SCORES = {"2d": 0.4, "3d": 0.08}
SIGNS = {"2d": 0.02, "3d": 0.1}


@pytest.fixture
def mixed(run, monkeypatch):
    """The run with a second configuration, whose models are less certain; writes down what is loaded."""
    loaded = []
    for fold in range(2):
        run.fold("2d", fold).mkdir(parents=True)
        run.weights("2d", fold).touch()
        write_finished(run, "2d", fold, finished_fold(fold, Split(train=(), val=())))

    def load(run, plan, configuration, fold, device):
        loaded.append((configuration, fold))
        return AboveMean(sign=SIGNS[configuration])

    monkeypatch.setattr(inference.ensemble, "load_network", load)
    return SimpleNamespace(run=run, loaded=loaded)


def probability(array, *names):
    z_score = (array - array.mean()) / array.std()
    return np.mean([1 / (1 + np.exp(-40 * SIGNS[name] * z_score)) for name in names], axis=0)


def label(folder):
    return read_label(folder / "a.nii.gz").array[0]


def clear_of(array, names, threshold):
    """Voxels that no rounding to 8 bit turns."""
    clear = np.abs(probability(array, *names) - threshold) > 3 / 255
    assert clear.mean() > 0.8
    return clear


def test_a_mixture_is_the_mean_of_its_configurations(mixed, tmp_path):
    array = voxels()
    cases = read_inputs([write(tmp_path / "a.nii.gz", array)], ("T1",))
    problems = predict_both(mixed.run, cases, tmp_path / "out", save_probabilities=True)
    assert problems == ()
    assert mixed.loaded == [("2d", 0), ("2d", 1), ("3d", 0), ("3d", 1)], "pairs of configuration and fold"
    written = read_image(tmp_path / "out" / "probabilities" / "a" / "label_500.nii.gz").array[0]
    expected = probability(array, "2d", "3d")
    assert np.abs(written - expected).max() < 1.5 / 255
    assert np.abs(written - probability(array, "3d")).max() > 0.1
    clear = clear_of(array, ("2d", "3d"), 0.5)
    assert np.array_equal(label(tmp_path / "out")[clear], 500 * (expected > 0.5)[clear])


def predict_both(run, cases, output, **options):
    from inference.predict import predict_cases

    console = Console(file=io.StringIO())
    return predict_cases(run, cases, output, configuration=("2d", "3d"), device="cpu", console=console, **options)


def test_members_of_a_mixture_can_be_chosen_by_fold(mixed, tmp_path):
    cases = read_inputs([write(tmp_path / "a.nii.gz", voxels())], ("T1",))
    predict_both(mixed.run, cases, tmp_path / "out", folds=(1,))
    assert mixed.loaded == [("2d", 1), ("3d", 1)]
    with pytest.raises(RunFolderError, match="fold 2 is not trained"):
        predict_both(mixed.run, cases, tmp_path / "out", folds=(2,))


def test_rules_act_on_the_probability_and_on_components(run, tmp_path, monkeypatch):
    monkeypatch.setattr(inference.ensemble, "load_network", lambda *arguments: AboveMean(sign=0.02))
    array = voxels(4)
    cases = read_inputs([write(tmp_path / "a.nii.gz", array)], ("T1",))
    threshold = 0.76
    rule = ClassRule(name="bright", threshold=threshold, minimal_diameter_mm=2.0)
    predict(run, cases, tmp_path / "out", rules=(rule,))
    above = probability(array, "2d") > threshold
    parts, _ = ndimage.label(above, np.ones((3, 3, 3)))
    large = np.flatnonzero(np.bincount(parts.ravel()) >= np.pi / 6 * 2.0**3)
    expected = np.isin(parts, large[large > 0])
    assert 0 < expected.sum() < above.sum() < (probability(array, "2d") > 0.5).sum()
    # half precision may turn a voxel at the threshold
    assert (label(tmp_path / "out") != 500 * expected).mean() < 0.01


def test_what_was_selected_is_applied_unless_something_else_is_asked_for(mixed, tmp_path, capsys):
    array = voxels()
    image = write(tmp_path / "a.nii.gz", array)
    rule = ClassRule(name="bright", threshold=0.84)
    write_selection(mixed.run, Selection(configurations=("2d", "3d"), post_processing=(rule,)))

    def predicted(where, **options):
        mixed.loaded.clear()
        autoseg.predict(mixed.run.path, image, tmp_path / where, device="cpu", **options)
        return label(tmp_path / where)

    both = probability(array, "2d", "3d")
    clear = clear_of(array, ("2d", "3d"), 0.84)
    assert np.array_equal(predicted("selected")[clear], 500 * (both > 0.84)[clear])
    assert {name for name, _ in mixed.loaded} == {"2d", "3d"}
    assert "2d + 3d, post-processing bright: threshold 0.84" in on_one_line(capsys.readouterr().err)
    plain = clear_of(array, ("2d", "3d"), 0.5)
    assert np.array_equal(predicted("raw", post_processing=False)[plain], 500 * (both > 0.5)[plain])
    assert np.array_equal(predicted("3d", config="3d"), 500 * (array > array.mean()))
    assert {name for name, _ in mixed.loaded} == {"3d"}
    assert np.array_equal(predicted("named", config=["2d", "3d"])[plain], 500 * (both > 0.5)[plain])
    predicted("fold", fold=1)
    assert mixed.loaded == [("2d", 1), ("3d", 1)]


@pytest.mark.parametrize(
    ("config", "told"), [(None, "mean Dice 0.120"), ("3d", "mean Dice 0.080"), ("2d", None), (["2d", "3d"], None)]
)
def test_a_model_that_is_too_weak_is_told_again_where_it_predicts(mixed, tmp_path, capsys, config, told):
    """By the evidence of the selection, of the configurations that predict."""
    scores = [CandidateScore(configurations=(name,), mean_dice=dice, dice={}) for name, dice in SCORES.items()]
    plain = Performance(mean_dice=0.12, classes=())
    write_selection(mixed.run, Selection(configurations=("3d", "2d"), candidates=tuple(scores), plain=plain))
    autoseg.predict(
        mixed.run.path, write(tmp_path / "a.nii.gz", voxels()), tmp_path / "out", device="cpu", config=config
    )
    said = on_one_line(capsys.readouterr().err)
    assert said.count("too weak") == (told is not None)
    assert told is None or f"{told}: too weak a model to choose by or to rely on; train for longer" in said


@pytest.mark.parametrize(("dice", "weak"), [(0.19, True), (0.21, False), (None, False)])
def test_without_a_selection_the_report_tells_that_a_model_is_too_weak(run, tmp_path, capsys, dice, weak):
    run.report.mkdir()
    (run.report / "summary.json").write_text(json.dumps({"configuration": "3d", "mean_dice": dice}), encoding="utf-8")
    autoseg.predict(run.path, write(tmp_path / "a.nii.gz", voxels()), tmp_path / "out", device="cpu")
    assert ("too weak" in capsys.readouterr().err) == weak


def test_a_selection_that_was_edited_to_nonsense_is_refused(mixed, tmp_path):
    image = write(tmp_path / "a.nii.gz", voxels())
    mixed.run.selected.write_text("{}", encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"selected\.json: configurations"):
        autoseg.predict(mixed.run.path, image, tmp_path / "out", device="cpu")


def test_a_configuration_that_sees_no_sequence_of_a_case_is_left_out_of_it():
    plan = example_plan(channels=(example_channel("T1"), example_channel("STIR")))
    groups = tuple(
        Group(str(sequences), plan.configurations["3d"].changed(sequences=sequences), None, ())
        for sequences in (("T1",), ("STIR",), None)
    )
    shown = Console(file=io.StringIO(), width=200)
    seeing = groups_that_see(groups, plan, SimpleNamespace(present=(True, False)), shown.print)
    assert [group.configuration.sequences for group in seeing] == [("T1",), None]
    assert "STIR" in shown.file.getvalue() and "left out" in shown.file.getvalue()
    with pytest.raises(ImageError, match="STIR"):
        groups_that_see(groups[1:2], plan, SimpleNamespace(present=(True, False)), shown.print)
