"""Prediction with a subset of the sequences, and what the network is shown then."""

from pathlib import Path

import numpy as np
import pytest
import torch

import autoseg
import inference.ensemble
from autoseg.dataset.fingerprint import Fingerprint, write_fingerprint
from autoseg.errors import InputError, PartialFailure
from autoseg.image.image import read_label
from autoseg.image.labels import Labels
from autoseg.plan.plan import ForegroundIntensity, write_plan
from autoseg.run_folder.finished_fold import write_finished
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import Split
from planner.additions.network_input import with_inputs
from planner.rules.reference_plan import reference_plan
from tests.autoseg.dataset import build
from tests.example_fingerprint import example_case_fingerprint, example_fingerprint, one_structure
from tests.example_fold import finished_fold
from tests.words import on_one_line

SHAPE = (6, 20, 22)
SPACING = (1.0, 1.0, 4.0)
SEQUENCES = ("T1", "T2", "STIR")


class Looking(torch.nn.Module):
    """Keeps what it is shown; its foreground is where a channel is above the mean."""

    def __init__(self, shown: list[np.ndarray], channel: int = 0) -> None:
        super().__init__()
        self.shown, self.channel = shown, channel

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.shown.append(x.numpy().copy())
        bright = 20 * x[:, [self.channel]]
        return torch.cat([-bright, bright], 1)


def fingerprint(lacking: int) -> Fingerprint:
    """Four cases of three sequences; the first ones lack STIR."""
    cases = [
        example_case_fingerprint(
            f"train_{i}",
            shape=SHAPE,
            spacing=(4.0, 1.0, 1.0),
            present=(True, True, i >= lacking),
            classes={"bright": one_structure(100.0)},
        )
        for i in range(4)
    ]
    intensity = ForegroundIntensity(mean=100, sd=20, median=100, percentile_00_5=50, percentile_99_5=150)
    labels = Labels(values=(0, 3), names=("background", "bright"))
    return example_fingerprint(cases, channels=SEQUENCES, labels=labels, intensities=(intensity,) * 3)


def make_run(folder: Path, *, lacking: int) -> RunFolder:
    run, measured = RunFolder(folder), fingerprint(lacking)
    run.path.mkdir()
    write_fingerprint(run.fingerprint, measured)
    planned = with_inputs(reference_plan(measured), measured).plan
    cell = planned.configurations["2d"].changed(sequences=("T2",), preprocessed_as="2d")
    planned = planned.changed(configurations=planned.configurations | {"T2.2d": cell})
    write_plan(run.plan, planned, {})
    for name in planned.configurations:
        run.fold(name, 0).mkdir(parents=True)
        run.weights(name, 0).touch()
        write_finished(run, name, 0, finished_fold(0, Split(train=(), val=())))
    return run


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """What the network was shown, patch by patch."""
    seen: list[np.ndarray] = []
    monkeypatch.setattr(inference.ensemble, "load_network", lambda *arguments: Looking(seen))
    return seen


def write(folder: Path, *names: str) -> Path:
    for i, name in enumerate(names):
        build.write(folder / name, build.voxels(i, SHAPE), spacing=SPACING)
    return folder


def flags(patches: list[np.ndarray], channels: slice) -> set[tuple[bool, ...]]:
    return {tuple(bool(c.any()) for c in patch[0, channels]) for patch in patches}


def test_a_subset_is_predicted_from_with_its_code(tmp_path: Path, shown: list[np.ndarray]) -> None:
    run = make_run(tmp_path / "run", lacking=1)
    images = write(tmp_path / "in", "a_0000.nii.gz", "a_0001.nii.gz", "a_0002.nii.gz")
    options = {"config": "3d", "device": "cpu"}
    for sequences, expected in [
        (None, (True, True, True)),
        (("T1", "STIR"), (True, False, True)),
        ("T2", (False, True, False)),
    ]:
        shown.clear()
        autoseg.predict(run.path, images, tmp_path / f"out {sequences}", sequences=sequences, **options)
        assert shown and all(patch.shape[1] == 6 for patch in shown)
        assert flags(shown, slice(0, 3)) == flags(shown, slice(3, 6)) == {expected}
        assert all(set(np.unique(patch[:, 3:])) <= {0.0, 1.0} for patch in shown)


def test_files_of_the_others_need_not_be_there(tmp_path: Path, shown: list[np.ndarray]) -> None:
    run = make_run(tmp_path / "run", lacking=1)
    write(tmp_path / "in", "a_0000.nii.gz")
    autoseg.predict(run.path, tmp_path / "in", tmp_path / "out", sequences=["T1"], device="cpu")
    array = build.voxels(0, SHAPE)
    assert np.array_equal(read_label(tmp_path / "out" / "a.nii.gz").array[0], 3 * (array > array.mean()))
    with pytest.raises(PartialFailure, match=r"no file for T2 \(_0001\), STIR"):
        autoseg.predict(run.path, tmp_path / "in", tmp_path / "all", device="cpu")
    write(tmp_path / "plain", "b.nii.gz")
    autoseg.predict(run.path, tmp_path / "plain" / "b.nii.gz", tmp_path / "out", sequences="T1", device="cpu")
    assert (tmp_path / "out" / "b.nii.gz").exists()


def test_2_5d_is_shown_neighbours_of_each_sequence(tmp_path: Path, shown: list[np.ndarray]) -> None:
    run = make_run(tmp_path / "run", lacking=0)
    images = write(tmp_path / "in", "a_0000.nii.gz", "a_0001.nii.gz", "a_0002.nii.gz")
    autoseg.predict(run.path, images, tmp_path / "out", config="2.5d", device="cpu", mirror=False)
    array = build.voxels(0, SHAPE)
    slices = (array - array.mean()) / array.std()
    assert len(shown) == SHAPE[0] and shown[0].shape[1:3] == (9, 1)
    for z, patch in enumerate(shown):
        for place, offset in enumerate((-1, 0, 1)):
            # padded around, where the patch is larger than the slice
            found = patch[0, place, 0]
            inside = found[np.ix_(*(np.flatnonzero(shown[1][0, 1, 0].any(axis=1 - axis)) for axis in range(2)))]
            expected = slices[z + offset] if 0 <= z + offset < SHAPE[0] else np.zeros(SHAPE[1:])
            np.testing.assert_allclose(inside, expected, atol=1e-4)


def test_a_cell_sees_its_sequence_alone_and_needs_no_other(tmp_path: Path, shown: list[np.ndarray]) -> None:
    run = make_run(tmp_path / "run", lacking=0)
    images = write(tmp_path / "in", "a_0001.nii.gz")
    autoseg.predict(run.path, images, tmp_path / "out", config="T2.2d", device="cpu")
    assert all(patch.shape[1] == 1 for patch in shown)
    array = build.voxels(0, SHAPE)
    assert np.array_equal(read_label(tmp_path / "out" / "a.nii.gz").array[0], 3 * (array > array.mean()))


def test_a_case_without_what_a_cell_sees_is_reported(tmp_path: Path, shown: list[np.ndarray]) -> None:
    run = make_run(tmp_path / "run", lacking=0)
    write(tmp_path / "in", "t1.nii.gz", "t2.nii.gz")
    rows = [{"case": "one", "T1": "t1.nii.gz", "T2": ""}, {"case": "two", "T1": "", "T2": "t2.nii.gz"}]
    build.write_table(tmp_path / "in", rows)
    with pytest.raises(PartialFailure, match="one: no sequence is there that the network sees: T2"):
        autoseg.predict(run.path, tmp_path / "in", tmp_path / "out", config="T2.2d", device="cpu")
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["measurements.csv", "two.nii.gz"]


@pytest.mark.parametrize(
    ("config", "sequences", "said"),
    [
        ("3d", ["FLAIR", "T1"], r"--sequences FLAIR: the models know T1, T2, STIR"),
        ("T2.2d", "T1", r"--sequences T1: T2\.2d sees only T2"),
        ("3d", [], "at least one"),
    ],
)
def test_sequences_that_cannot_be_predicted_from_are_refused(tmp_path, shown, config, sequences, said) -> None:
    run = make_run(tmp_path / "run", lacking=0)
    images = write(tmp_path / "in", "a_0000.nii.gz")
    with pytest.raises(InputError, match=said):
        autoseg.predict(run.path, images, tmp_path / "out", config=config, sequences=sequences, device="cpu")
    assert not shown


@pytest.mark.parametrize(("lacking", "warned"), [(0, True), (1, False)])
def test_an_absent_sequence_is_unusual_only_to_a_network_that_never_missed_one(
    tmp_path, shown, capsys, lacking, warned
) -> None:
    run = make_run(tmp_path / "run", lacking=lacking)
    images = write(tmp_path / "in", "a_0000.nii.gz")
    autoseg.predict(run.path, images, tmp_path / "out", sequences="T1", device="cpu")
    assert ("T2 is absent" in on_one_line(capsys.readouterr().err)) is warned
