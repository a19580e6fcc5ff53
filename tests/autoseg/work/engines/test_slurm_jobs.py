from dataclasses import replace

from autoseg.work.engines.slurm_jobs import jobs_of
from autoseg.work.unit import Needs
from tests.autoseg.work.engines.units_by_hand import ALL, GPU, TRAIN


def test_parts_and_folds_are_arrays_and_the_rest_is_single() -> None:
    jobs = jobs_of(ALL)
    assert [job.name for job in jobs] == ["plan", "prepare-3d-%aof2", "train-3d-fold_%a", "report-3d"]
    assert [job.numbers for job in jobs] == [(), (0, 1), (0, 1, 2, 3, 4), ()]
    assert [name for job in jobs for name in job.unit_names] == [unit.name for unit in ALL]


def test_folds_that_are_left_keep_their_numbers() -> None:
    (job,) = jobs_of([TRAIN[1], TRAIN[4]])
    assert job.numbers == (1, 4) and job.unit_names == ("train-3d-fold_1", "train-3d-fold_4")


def test_an_array_needs_what_suffices_for_each() -> None:
    more = replace(TRAIN[1], needs=Needs(cores=8, memory_bytes=1, gpus=1, seconds=None))
    (job,) = jobs_of([TRAIN[0], more])
    assert job.needs == Needs(cores=8, memory_bytes=GPU.memory_bytes, gpus=1, seconds=None)


def test_what_waits_for_unlike_units_is_not_one_array() -> None:
    assert len(jobs_of([TRAIN[0], replace(TRAIN[1], waits_for=("plan",))])) == 2
    assert len(jobs_of([TRAIN[0], replace(TRAIN[1], name="train-2d-fold_1")])) == 2
