import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from autoseg.errors import InputError, TrainingDataError
from autoseg.plan.configuration import Configuration
from autoseg.run_folder.preprocessed_case import read_record
from tests.example_plan import LABELS
from tests.trainer.cases import make_configuration, write_noise_case
from trainer.data.batch import Batch
from trainer.data.batches import BatchLoader

SHAPE = (12, 16, 20)
PATCH = (8, 12, 12)


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    for number in range(4):
        write_noise_case(tmp_path / f"case{number}", SHAPE, seed=number)
    return [tmp_path / f"case{number}" for number in range(4)]


def load(folders: list[Path], configuration: Configuration | None = None, **options: object) -> list[Batch]:
    settings = {"labels": LABELS, "seed": 3, "fold": 1, "first_step": 0, "last_step": 6, "workers": 0} | options
    configuration = configuration or make_configuration(PATCH, elastic=0.3)
    with BatchLoader(folders, configuration, **settings) as loader:  # type: ignore[arg-type]
        return list(loader)


def same(a: list[Batch], b: list[Batch]) -> bool:
    return len(a) == len(b) and all(
        torch.equal(x.image, y.image) and torch.equal(x.label, y.label) and x.step == y.step
        for x, y in zip(a, b, strict=True)
    )


def test_batches_come_in_order_with_the_planned_shape(folders: list[Path]) -> None:
    batches = load(folders, first_step=5, last_step=9)
    assert [b.step for b in batches] == [5, 6, 7, 8]
    for batch in batches:
        assert batch.image.shape == (2, 1, *PATCH)
        assert batch.image.dtype == torch.float32
        assert batch.label.shape == (2, *PATCH)
        assert batch.label.dtype == torch.uint8


def test_a_step_is_the_same_wherever_training_begins_and_whatever_is_cached(folders: list[Path]) -> None:
    whole = load(folders)
    assert same(load(folders, first_step=4), whole[4:])
    assert same(load(folders[::-1], cache_bytes=0), whole)
    assert same(load(folders, cache_bytes=40_000), whole)  # room for one or two cases


def test_number_of_threads_and_the_global_random_state_do_not_matter(folders: list[Path]) -> None:
    whole = load(folders)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    state, numpy_state = torch.get_rng_state(), np.random.get_state(legacy=False)
    try:
        torch.manual_seed(99)
        reseeded = torch.get_rng_state()
        assert same(load(folders), whole)
        assert torch.equal(torch.get_rng_state(), reseeded)
        np.testing.assert_equal(np.random.get_state(legacy=False), numpy_state)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
        torch.set_rng_state(state)


def test_seed_fold_step_and_place_each_change_what_is_drawn(folders: list[Path]) -> None:
    whole = load(folders)
    assert not same(load(folders, seed=4), whole)
    assert not same(load(folders, fold=2), whole)
    assert len({b.image[place].numpy().tobytes() for b in whole for place in range(2)}) == 12


def test_without_augmentation_patches_are_cut_from_the_cases(folders: list[Path], tmp_path: Path) -> None:
    image, label = write_noise_case(tmp_path / "alone", SHAPE, seed=9, present=(True, False))
    batches = load([tmp_path / "alone"], augment=False, last_step=20)
    for batch in batches:
        for place in range(2):
            corner = batch.image[place, 0, 0, 0, 0].item()
            z, y, x = np.argwhere(image[0] == corner)[0]
            box = (slice(z, z + 8), slice(y, y + 12), slice(x, x + 12))
            np.testing.assert_array_equal(batch.image[place], image[(slice(None), *box)])
            np.testing.assert_array_equal(batch.label[place], label[box])


def test_the_last_place_shows_foreground_of_either_class_equally_often(folders: list[Path]) -> None:
    # the patch is small and the lesions far apart, so only one of them is in it
    batches = load(folders, make_configuration((4, 4, 4), elastic=0.3, oversample_foreground=0.33), last_step=300)
    classes = [set(np.unique(b.label[1])) - {0} for b in batches]
    assert all(len(found) == 1 for found in classes)
    single = sum(found == {2} for found in classes)
    assert 120 < single < 180  # 300 draws of one half: 3.5 standard deviations
    assert sum(bool(b.label[0].any()) for b in batches) < 150


def test_cases_without_foreground_are_trained_on_too(folders: list[Path], tmp_path: Path) -> None:
    write_noise_case(tmp_path / "empty", SHAPE, seed=5, lesions=False)
    batches = load([tmp_path / "empty"], last_step=3)
    assert len(batches) == 3
    assert not any(b.label.any() for b in batches)
    mixed = load([tmp_path / "empty", *folders], make_configuration((4, 4, 4)), last_step=30)
    assert all(b.label[1].any() for b in mixed)


def test_absent_channels_are_zero(tmp_path: Path) -> None:
    write_noise_case(tmp_path / "a", SHAPE, seed=0, present=(True, False))
    for batch in load([tmp_path / "a"], last_step=20):
        assert not batch.image[:, 1].any()
        assert batch.image[:, 0].any()


def test_bad_use_is_refused(folders: list[Path], tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match="no case to train on"):
        load([])
    with pytest.raises(InputError, match="workers = -1"):
        load(folders, workers=-1)
    with pytest.raises(TrainingDataError, match=r"nowhere: not preprocessed; run `autoseg plan-and-preprocess`"):
        load([*folders, tmp_path / "nowhere"])


def damage(folder: Path) -> None:
    path = folder / "image.b2nd"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_a_damaged_case_is_named(folders: list[Path]) -> None:
    damage(folders[2])
    with pytest.raises(TrainingDataError, match=r"case2: damaged .* delete this folder"):
        load(folders, last_step=50)


@pytest.mark.slow
def test_an_error_in_a_worker_arrives_with_the_name_of_the_case(folders: list[Path]) -> None:
    damage(folders[2])
    with pytest.raises(TrainingDataError, match=r"case2: damaged .* delete this folder"):
        load(folders, last_step=50, workers=1)


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "start_method"), [(1, "fork"), (2, "fork"), (2, "spawn")])
def test_bits_do_not_depend_on_the_workers(folders: list[Path], workers: int, start_method: str) -> None:
    before = set(psutil.Process().children())
    assert same(load(folders, workers=workers, start_method=start_method), load(folders))
    left = set(psutil.Process().children()) - before
    assert all("resource_tracker" in " ".join(child.cmdline()) for child in left)


PARENT = """
    import sys, time
    from pathlib import Path
    import psutil
    from tests.example_plan import LABELS
    from tests.trainer.cases import make_configuration
    from trainer.data.batches import BatchLoader

    if __name__ == "__main__":
        folders = [Path(f) for f in sys.argv[1:]]
        options = dict(labels=LABELS, seed=0, fold=0, first_step=0, last_step=10**6, workers=2)
        try:
            with BatchLoader(folders, make_configuration((8, 12, 12)), **options) as loader:
                for batch in loader:
                    if batch.step == 3:
                        children = psutil.Process().children(recursive=True)
                        print(*[c.pid for c in children if "spawn_main" in " ".join(c.cmdline())], flush=True)
                    time.sleep(0.02)
        except Exception as error:
            print(type(error).__name__, error, flush=True)
"""


@pytest.fixture
def parent(folders: list[Path], tmp_path: Path) -> Iterator[tuple[subprocess.Popen, list[psutil.Process]]]:
    """A process that takes batches of two workers, and the workers."""
    script = tmp_path / "parent.py"
    script.write_text(textwrap.dedent(PARENT), encoding="utf-8")
    root = Path(__file__).parents[3]
    process = subprocess.Popen(
        [sys.executable, str(script), *map(str, folders)],
        env=os.environ | {"PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    assert process.stdout is not None
    pids = [int(pid) for pid in process.stdout.readline().split()]
    workers = [psutil.Process(pid) for pid in pids]
    assert len(workers) == 2
    yield process, workers
    process.kill()
    process.wait()
    for worker in workers:
        if worker.is_running():
            worker.kill()


@pytest.mark.slow
def test_workers_end_with_a_killed_parent_but_not_by_signals_to_the_group(
    parent: tuple[subprocess.Popen, list[psutil.Process]],
) -> None:
    process, workers = parent
    for worker in workers:
        worker.send_signal(signal.SIGINT)
        worker.send_signal(signal.SIGTERM)
    time.sleep(1)
    assert all(w.is_running() and w.status() != psutil.STATUS_ZOMBIE for w in workers)
    assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    _, alive = psutil.wait_procs(workers, timeout=40)
    assert not [w for w in alive if w.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.slow
def test_the_end_of_a_worker_is_explained(parent: tuple[subprocess.Popen, list[psutil.Process]]) -> None:
    process, workers = parent
    workers[0].kill()
    out, _ = process.communicate(timeout=300)
    assert out.startswith("TrainingDataError a process that prepares batches was ended by SIGKILL")
    assert "fewer than 2 workers" in out


def test_a_batch_tells_which_classes_nobody_looked_for_in_the_case_of_each_patch(folders: list[Path]) -> None:
    assert all(batch.missing is None for batch in load(folders))
    known = load(folders)
    for folder in folders[:2]:
        record = read_record(folder)
        name = LABELS.names[1]
        (folder / "case.json").write_text(record.changed(annotated=(name,)).model_dump_json(), encoding="utf-8")
    partly = load(folders)
    # the patches are the same; one whose case is not among the first two has everything
    assert same(known, partly)
    rows = torch.cat([batch.missing for batch in partly]).tolist()
    assert {tuple(row) for row in rows} == {(False,) * LABELS.classes, (False, False, *[True] * (LABELS.classes - 2))}
    # what no training case knows counts as absent: nothing would tell where it is not
    assert all(batch.missing is None for batch in load(folders[:2]))
    with_two = load(folders, workers=2)
    assert all(torch.equal(a.missing, b.missing) for a, b in zip(partly, with_two, strict=True))
    moved = partly[0].to(torch.device("cpu"))
    assert torch.equal(moved.missing, partly[0].missing) and len(moved.tensors) == 3
    # a fold whose training cases have everything trains as ever
    assert all(batch.missing is None for batch in load(folders[2:]))
