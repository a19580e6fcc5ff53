"""Preprocessing of a data set: content of RUN, resuming, redoing only what changed, death of processes."""

import io
import os
import shutil
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from rich.console import Console

from autoseg.dataset.case import Case, Dataset
from autoseg.errors import DatasetError, PlanError, RunFolderError
from autoseg.image.geometry import Geometry
from autoseg.image.image import Image, read_label, write_image
from autoseg.image.labels import Labels
from autoseg.run_folder.lock import locked, remove_abandoned_locks
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.preprocessed_case import open_case
from planner.preprocess import MARKER, preprocess_dataset
from tests.example_plan import FOREGROUND, LABELS, example_channel, example_plan, example_region, with_configuration

UPPER_HALF = example_region(lower=(0.5, 0.0, 0.0))
AXES = ((0.0, 0.0, -1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Four small cases stored with z downwards, each with a large and a one-voxel lesion."""
    cases = []
    for index in range(4):
        rng = np.random.default_rng(index)
        image = rng.normal(100, 20, (12, 20, 18)).astype(np.float32)
        label = np.zeros(image.shape, dtype=np.uint8)
        label[3:8, 4:12, 5:11] = 1
        label[10, 17, 2 + index] = 2
        geometry = Geometry((12, 20, 18), (2.0, 1.0, 1.0), (5.0, -3.0, 10.0 * index), AXES)
        paths = tmp_path / "raw" / f"case{index}_image.nii.gz", tmp_path / "raw" / f"case{index}_label.nii.gz"
        write_image(paths[0], Image(image[None], geometry))
        write_image(paths[1], Image(label[None], geometry))
        cases.append(Case(f"case{index}", (paths[0],), paths[1]))
    return Dataset("example", "nnunet", ("T1",), (False,), LABELS, tuple(cases), folder=tmp_path / "raw")


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def written(run: RunFolder) -> dict[str, int]:
    """When each case's folder was last made."""
    return {path.parent.name: path.stat().st_mtime_ns for path in run.preprocessed("3d").glob("*/case.json")}


def test_a_case_holds_its_arrays_and_what_evaluation_needs(dataset: Dataset, run: RunFolder) -> None:
    preprocess_dataset(dataset, with_configuration(example_plan(), spacing=(2.0, 1.0, 1.0)), "3d", run, workers=1)
    case = open_case(run.case("3d", "case2"))
    stored = read_label(dataset.cases[2].label)
    # stored z runs downwards, canonical z upwards; the spacing is the plan's, so nothing is resampled
    np.testing.assert_array_equal(case.label[:], stored.array[0, ::-1])
    reference = read_label(case.reference)
    np.testing.assert_array_equal(reference.array, stored.array)
    assert stored.geometry.largest_offset(reference.geometry) < 1e-5
    assert case.image[:].mean() == pytest.approx(0, abs=1e-5)
    assert case.image[:].std() == pytest.approx(1, abs=1e-5)


def test_references_hold_the_values_of_the_data_set(dataset: Dataset, run: RunFolder) -> None:
    values = Labels(values=(0, 200, 600), names=("background", "body", "lesion"))
    for case in dataset.cases:
        label = read_label(case.label)
        array = np.asarray(values.values, dtype=np.int16)[label.array]
        write_image(case.label, Image(array, label.geometry))
    plan = with_configuration(example_plan(labels=values), spacing=(2.0, 1.0, 1.0))
    preprocess_dataset(replace(dataset, labels=values), plan, "3d", run, workers=1)
    case = open_case(run.case("3d", "case0"))
    assert np.unique(case.label[:]).tolist() == [0, 1, 2]
    np.testing.assert_array_equal(read_label(case.reference).array, read_label(dataset.cases[0].label).array)


@pytest.mark.parametrize("small", [0, 10**9], ids=["processes", "threads"])
def test_several_workers_write_the_same_as_one(
    dataset: Dataset, run: RunFolder, tmp_path: Path, monkeypatch, small: int
) -> None:
    monkeypatch.setattr("autoseg.dataset.disk_space.SMALL_BYTES", small)
    other = RunFolder(tmp_path / "other")
    preprocess_dataset(dataset, example_plan(), "3d", run, workers=1)
    preprocess_dataset(dataset, example_plan(), "3d", other, workers=2)
    for case in dataset.cases:
        one, two = open_case(run.case("3d", case.name)), open_case(other.case("3d", case.name))
        assert one.record == two.record
        np.testing.assert_array_equal(one.image[:], two.image[:])
        np.testing.assert_array_equal(one.label[:], two.label[:])
        np.testing.assert_array_equal(one.foreground.voxels, two.foreground.voxels)


def test_nothing_is_done_twice(dataset: Dataset, run: RunFolder) -> None:
    preprocess_dataset(dataset, example_plan(), "3d", run, workers=1)
    before = written(run)
    preprocess_dataset(dataset, example_plan(), "3d", run, workers=1)
    assert written(run) == before


def test_an_edit_that_does_not_touch_the_voxels_redoes_nothing(dataset: Dataset, run: RunFolder) -> None:
    preprocess_dataset(dataset, example_plan(), "3d", run, workers=1)
    before = written(run)
    edited = with_configuration(example_plan(), batch_size=7)
    # a z-scored channel does not use the foreground's statistics
    other_statistics = example_channel(foreground=FOREGROUND.changed(mean=3.0))
    edited = edited.changed(channels=(other_statistics,))
    preprocess_dataset(dataset, edited, "3d", run, workers=1)
    assert written(run) == before


def test_foreground_outside_an_edited_region_is_told_and_kept_in_the_reference(
    dataset: Dataset, run: RunFolder
) -> None:
    """The cases are stored with z downwards: their upper half in the plan's axes has the first stored slices."""
    console = Console(file=io.StringIO(), width=200)
    preprocess_dataset(dataset, example_plan(region=UPPER_HALF), "3d", run, workers=1, console=console)
    told = console.file.getvalue()
    assert all(f"case{i}: has foreground outside the part of the image that is trained on" in told for i in range(4))
    case = open_case(run.case("3d", "case0"))
    assert case.record.crop_lower[0] == 6 and 2 not in case.label[:]
    assert 2 in read_label(case.reference).array


@pytest.mark.parametrize(
    "edited",
    [
        with_configuration(example_plan(), spacing=(1.5, 1.5, 1.5)),
        example_plan(channels=(example_channel(normalization="ct"),)),
        example_plan(channels=(example_channel(inside_nonzero_mask=True),)),
        example_plan(seed=2),
        example_plan(orientation="as_stored"),
        example_plan(region=UPPER_HALF),
    ],
    ids=["spacing", "normalisation", "mask", "seed", "orientation", "region"],
)
def test_an_edit_that_touches_the_voxels_redoes_all(dataset: Dataset, run: RunFolder, edited) -> None:
    preprocess_dataset(dataset, example_plan(), "3d", run, workers=1)
    before = written(run)
    preprocess_dataset(dataset, edited, "3d", run, workers=1)
    after = written(run)
    assert all(after[name] != before[name] for name in before)


def test_a_changed_source_file_redoes_its_case_alone(dataset: Dataset, run: RunFolder) -> None:
    preprocess_dataset(dataset, example_plan(), "3d", run, workers=1)
    before = written(run)
    label = read_label(dataset.cases[1].label)
    write_image(dataset.cases[1].label, Image(np.minimum(label.array, 1), label.geometry))
    preprocess_dataset(dataset, example_plan(), "3d", run, workers=1)
    after = written(run)
    assert [name for name in sorted(after) if after[name] != before[name]] == ["case1"]
    assert open_case(run.case("3d", "case1")).label[:].max() == 1


def test_a_data_set_that_moved_is_not_preprocessed_again(dataset: Dataset, run: RunFolder, tmp_path: Path) -> None:
    preprocess_dataset(dataset, example_plan(), "3d", run, workers=1)
    before = written(run)
    moved = dataset.folder.rename(tmp_path / "elsewhere")
    cases = tuple(
        replace(case, images=(moved / case.images[0].name,), label=moved / case.label.name) for case in dataset.cases
    )
    preprocess_dataset(replace(dataset, cases=cases, folder=moved), example_plan(), "3d", run, workers=1)
    assert written(run) == before
    assert str(tmp_path) not in (run.case("3d", "case0") / MARKER).read_text(encoding="utf-8")


def test_what_is_no_longer_a_case_is_removed(dataset: Dataset, run: RunFolder) -> None:
    preprocess_dataset(dataset, example_plan(), "3d", run, workers=1)
    (run.preprocessed("3d") / ".4711.case0").mkdir()
    preprocess_dataset(replace(dataset, cases=dataset.cases[:3]), example_plan(), "3d", run, workers=1)
    assert sorted(path.name for path in run.preprocessed("3d").iterdir()) == ["case0", "case1", "case2"]


def test_every_lesion_gives_voxels(dataset: Dataset, run: RunFolder) -> None:
    preprocess_dataset(dataset, with_configuration(example_plan(), spacing=(2.0, 1.0, 1.0)), "3d", run, workers=1)
    case = open_case(run.case("3d", "case0"))
    label, foreground = case.label[:], case.foreground
    assert (label[tuple(foreground.voxels.T)] == foreground.classes).all()
    assert np.bincount(foreground.classes).tolist() == [0, 240, 1]


def test_a_case_without_a_label_is_named(dataset: Dataset, run: RunFolder) -> None:
    cases = (*dataset.cases[:2], replace(dataset.cases[2], label=None))
    with pytest.raises(DatasetError, match="case2: has no label"):
        preprocess_dataset(replace(dataset, cases=cases), example_plan(), "3d", run, workers=1)


def test_a_case_that_no_memory_holds_is_named_before_any_is_preprocessed(
    dataset: Dataset, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("planner.preprocess.total_memory", lambda: 1_000)
    with pytest.raises(DatasetError, match=rf"^{dataset.cases[0].name}: .*GB of memory.*crop the case"):
        preprocess_dataset(dataset, example_plan(), "3d", run, workers=1)
    assert not any(run.preprocessed("3d").glob("*"))


def test_a_configuration_that_is_not_planned_is_named(dataset: Dataset, run: RunFolder) -> None:
    with pytest.raises(PlanError, match=r"'2d' is not planned; planned are 3d"):
        preprocess_dataset(dataset, example_plan(), "2d", run, workers=1)


def test_a_second_process_is_refused(dataset: Dataset, run: RunFolder) -> None:
    with (
        locked(run.preprocessed("3d"), "preprocessing"),
        pytest.raises(RunFolderError, match="another process is preprocessing here"),
    ):
        preprocess_dataset(dataset, example_plan(), "3d", run, workers=1)


def test_an_error_in_a_worker_names_the_case(dataset: Dataset, run: RunFolder) -> None:
    shutil.copy(dataset.cases[0].label, dataset.cases[1].label)
    with pytest.raises(DatasetError, match="case1"):
        preprocess_dataset(dataset, example_plan(), "3d", run, workers=2)


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "small"), [(1, 10**9), (2, 10**9), (2, 0)], ids=["one", "threads", "processes"])
def test_killed_preprocessing_goes_on_where_it_was(
    dataset: Dataset, run: RunFolder, tmp_path: Path, workers: int, small: int
) -> None:
    undisturbed = RunFolder(tmp_path / "undisturbed")
    preprocess_dataset(dataset, example_plan(), "3d", undisturbed, workers=1)
    process = start_slow_preprocessing(dataset, run, tmp_path, workers, small)
    give_up = time.monotonic() + 60
    # one case is whole, another all but whole
    while not whole_cases(run) or not any((path / "case.json").exists() for path in half_written(run)):
        assert time.monotonic() < give_up and process.poll() is None
        time.sleep(0.02)
    writers = [int(path.name.split(".")[1]) for path in half_written(run)]
    process.kill()
    process.wait()
    while any(map(psutil.pid_exists, writers)):
        assert time.monotonic() < give_up, "a worker outlived its parent"
        time.sleep(0.02)
    whole = whole_cases(run)
    assert 1 <= len(whole) < 4 and half_written(run)

    # as each command does at its begin
    remove_abandoned_locks(run.path)
    preprocess_dataset(dataset, example_plan(), "3d", run, workers=workers)
    after = whole_cases(run)
    assert [path.name for path in run.preprocessed("3d").parent.iterdir()] == ["3d"]
    assert sorted(path.name for path in run.preprocessed("3d").iterdir()) == [case.name for case in dataset.cases]
    assert {name: after[name] for name in whole} == whole
    for case in dataset.cases:
        resumed, plain = open_case(run.case("3d", case.name)), open_case(undisturbed.case("3d", case.name))
        np.testing.assert_array_equal(resumed.image[:], plain.image[:])
        np.testing.assert_array_equal(resumed.label[:], plain.label[:])


def start_slow_preprocessing(
    dataset: Dataset, run: RunFolder, folder: Path, workers: int, small: int
) -> subprocess.Popen:
    """Preprocess in a process of its own, resting before each case is complete."""
    cases = [(case.name, str(case.images[0]), str(case.label)) for case in dataset.cases]
    slow = folder / "slow"
    slow.mkdir()
    # every interpreter imports it at its start, workers too, which do not import the script
    (slow / "sitecustomize.py").write_text(
        textwrap.dedent("""
        import time
        import planner.preprocess as preprocess

        write = preprocess.write_case

        def slow_write(folder, record, *args):
            write(folder, record, *args)
            time.sleep(0.5 + 0.2 * int(record.case[-1]))

        preprocess.write_case = slow_write
        """)
    )
    script = folder / "slow_preprocessing.py"
    script.write_text(
        textwrap.dedent(f"""
        from pathlib import Path
        import planner.preprocess as preprocess
        from autoseg.dataset import disk_space
        from autoseg.dataset.case import Case, Dataset
        from autoseg.run_folder.paths import RunFolder
        from tests.example_plan import LABELS, example_plan

        disk_space.SMALL_BYTES = {small}
        cases = tuple(Case(name, (Path(image),), Path(label)) for name, image, label in {cases!r})
        folder = Path({str(dataset.folder)!r})
        dataset = Dataset("example", "nnunet", ("T1",), (False,), LABELS, cases, folder=folder)
        run = RunFolder(Path({str(run.path)!r}))
        preprocess.preprocess_dataset(dataset, example_plan(), "3d", run, workers={workers})
        """)
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(slow), str(Path(__file__).parents[2])])}
    return subprocess.Popen([sys.executable, str(script)], env=environment, stderr=subprocess.DEVNULL)


def half_written(run: RunFolder) -> list[Path]:
    """The folders of cases that a process writes, or was writing when it was killed."""
    return list(run.preprocessed("3d").glob(".*.held/*/.*"))


def whole_cases(run: RunFolder) -> dict[str, int]:
    """The cases that are whole, and when they were made."""
    return {name: made for name, made in written(run).items() if not name.startswith(".")}
