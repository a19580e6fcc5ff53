"""Patches that grow: sizes and work by hand, and trainings that are interrupted, repeated and timed with them."""

import itertools
import math

import pytest

from autoseg.image.geometry import Shape
from autoseg.machine.step_cost import StepCost
from autoseg.run_folder.finished_fold import Event
from tests.example_plan import example_configuration, example_network
from tests.trainer.interrupted import same, stop_after, weights
from tests.trainer.test_events import QUIET, rows, state_of
from tests.trainer.tiny_run import make_training
from tests.trainer.turned_clock import PLANNED, train
from trainer.data.batches import BatchLoader
from trainer.events import begin_with_pace, pace, revise_length
from trainer.fold import train_fold
from trainer.patch_growth import NO_GROWTH, SHARE_OF_FIXED_WORK, PatchGrowth, growing_sizes, patch_growth
from trainer.schedule import progress

HALVES = PatchGrowth(((4, 8, 8), (8, 8, 8)))
WORK_OF_HALF = SHARE_OF_FIXED_WORK + (1 - SHARE_OF_FIXED_WORK) / 2


def network(strides: tuple[Shape, ...], kernels: tuple[Shape, ...] | None = None):
    stages = len(strides)
    return example_network(
        features=tuple(4 * 2**stage for stage in range(stages)),
        strides=strides,
        kernel_sizes=kernels or ((3, 3, 3),) * stages,
        encoder_blocks=(1,) * stages,
        decoder_blocks=(1,) * (stages - 1),
    )


def test_the_shortest_axis_grows_first_by_what_the_strides_allow() -> None:
    sizes = growing_sizes((32, 48, 24), network(((1, 1, 1), (2, 2, 2), (2, 2, 2))))
    assert sizes == (
        *((8, 8, 8), (12, 8, 8), (12, 12, 8), (12, 12, 12), (16, 12, 12), (16, 16, 12), (16, 16, 16)),
        *((20, 16, 16), (20, 20, 16), (20, 20, 20), (24, 20, 20), (24, 24, 20), (24, 24, 24)),
        *((28, 24, 24), (28, 28, 24), (32, 28, 24), (32, 32, 24), (32, 36, 24), (32, 40, 24), (32, 44, 24)),
        (32, 48, 24),
    )


@pytest.mark.parametrize(
    ("full", "strides", "kernels", "first"),
    [
        ((128, 128, 128), ((1, 1, 1), *[(2, 2, 2)] * 5), None, (64, 64, 64)),
        ((16, 128, 96), ((1, 1, 1), (1, 2, 2), (2, 2, 2), (2, 2, 2)), None, (8, 16, 16)),
        ((1, 64, 48), ((1, 1, 1), (1, 2, 2), (1, 2, 2)), ((1, 3, 3),) * 3, (1, 8, 8)),
        ((36, 24, 24), ((1, 1, 1), (3, 2, 2)), ((5, 5, 5), (7, 7, 3)), (12, 8, 4)),
        ((4, 4, 4), ((1, 1, 1), (2, 2, 2), (2, 2, 2)), None, (4, 4, 4)),
    ],
)
def test_every_size_can_be_pooled_and_ends_with_the_plans_patch(full, strides, kernels, first) -> None:
    sizes = growing_sizes(full, network(strides, kernels))
    assert (sizes[0], sizes[-1]) == (first, full)
    factors = [math.prod(stride[axis] for stride in strides) for axis in range(3)]
    for before, after in itertools.pairwise(sizes):
        assert sum(b - a for a, b in zip(before, after, strict=True)) in factors
    for stages in (2, 3, 5, 64):
        configuration = example_configuration(
            patch_size=full,
            network=network(strides, kernels),
            slice_axis=0 if full[0] == 1 else None,
            training=make_training(patch_growth=stages),
        )
        growth = patch_growth(configuration)
        assert len(growth.sizes) == min(stages, len(sizes))
        assert (growth.sizes[0], growth.sizes[-1]) == ((first, full) if len(sizes) > 1 else (full, full))
        for size in growth.sizes:
            assert configuration.changed(patch_size=size).patch_size == size, "a plan may have it"


def test_without_growth_every_step_has_the_full_patch_and_work_1() -> None:
    growth = patch_growth(example_configuration(training=make_training()))
    assert growth.sizes == (example_configuration().patch_size,)
    for any_growth in (growth, NO_GROWTH):
        assert any_growth.mean_work(0.0) == any_growth.mean_work(0.3, 0.3) == any_growth.mean_work(0.2, 0.9) == 1
        assert any_growth.work(3, 9, make_training(), ()) == 6


@pytest.mark.parametrize("stages", [2, 3, 4, 7])
def test_each_stage_has_an_equal_share_of_the_steps(stages: int) -> None:
    growth = PatchGrowth(tuple((stage + 1, 1, 1) for stage in range(stages)))
    training = make_training(iterations=stages * 10)
    taken = [growth.size(progress(step, training, ()))[0] for step in range(stages * 10)]
    assert taken == [stage + 1 for stage in range(stages) for _ in range(10)]


def test_a_revised_length_moves_the_stages_but_none_that_are_done() -> None:
    training = make_training(iterations=100)
    longer = Event(kind="lengthened", step=20, iterations=180, rate_factor=1.0, reason="quick")
    taken = [HALVES.size(progress(step, training, (longer,))) for step in range(180)]
    # a fifth is done after 20 steps; three tenths more, of the eight that are left, take 60 of 160 steps
    assert taken == [(4, 8, 8)] * 80 + [(8, 8, 8)] * 100


def test_the_work_of_steps_is_the_sum_of_theirs() -> None:
    training = make_training(iterations=100)
    longer = Event(kind="lengthened", step=20, iterations=180, rate_factor=1.0, reason="quick")
    each = {(4, 8, 8): WORK_OF_HALF, (8, 8, 8): 1.0}
    for start, end in ((0, 20), (20, 50), (60, 130), (80, 81), (100, 180)):
        steps = [each[HALVES.size(progress(step, training, (longer,)))] for step in range(start, end)]
        assert HALVES.work(start, end, training, (longer,)) == pytest.approx(sum(steps))
    assert HALVES.mean_work(0.0) == pytest.approx((1 + WORK_OF_HALF) / 2)


class Sizes:
    """The size of the patches of every step that is taken, in order."""

    def __init__(self, monkeypatch) -> None:
        self.taken: dict[int, Shape] = {}
        real = BatchLoader.__iter__

        def batches(loader):
            for batch in real(loader):
                self.taken[batch.step] = tuple(batch.image.shape[2:])
                yield batch

        monkeypatch.setattr(BatchLoader, "__iter__", batches)


def test_a_fold_trains_with_growing_patches(tiny_run, monkeypatch) -> None:
    sizes = Sizes(monkeypatch)
    train(tiny_run(patch_growth=3))
    # the strides are 2: (4, 4, 4) up to (8, 12, 12)
    first, middle, last = (set(itertools.islice(sizes.taken.values(), 4 * i, 4 * i + 4)) for i in range(3))
    assert (first, last) == ({(4, 4, 4)}, {(8, 12, 12)})
    # five of the ten sizes in between: z, y, x, z, y
    assert middle == {(8, 8, 6)}
    assert list(sizes.taken) == list(range(12))


@pytest.mark.parametrize(("stopped", "workers"), [(3, 0), (4, 0), (10, 0)])
def test_an_interrupted_fold_reaches_the_same_weights(tiny_run, monkeypatch, stopped: int, workers: int) -> None:
    undisturbed = tiny_run("undisturbed", patch_growth=3)
    train(undisturbed)
    run = tiny_run("stopped", patch_growth=3)
    with monkeypatch.context() as patch:
        stop_after(patch, stopped)
        with pytest.raises(KeyboardInterrupt):
            train_fold(run, "3d", 0, device="cpu", workers=0)
    train_fold(run, "3d", 0, device="cpu", workers=workers)
    assert same(weights(run), weights(undisturbed))


@pytest.mark.slow
def test_patches_that_were_prepared_ahead_for_another_size_are_left_out(tiny_run) -> None:
    alone, helped = tiny_run("alone", patch_growth=3), tiny_run("helped", patch_growth=3)
    train_fold(alone, "3d", 0, device="cpu", workers=0)
    train_fold(helped, "3d", 0, device="cpu", workers=2)
    assert same(weights(alone), weights(helped))


def test_a_fold_whose_length_the_clock_revised_is_repeated_bit_for_bit(tiny_run, hands, monkeypatch) -> None:
    hands.learns = True
    hands.seconds_a_step = lambda now: 0.4 if now < 20 else 2.0
    sizes = Sizes(monkeypatch)
    first, again = tiny_run("first", **PLANNED, patch_growth=3), tiny_run("again", **PLANNED, patch_growth=3)
    summary = train(first)
    assert {event.kind for event in summary.events} >= {"lengthened", "shortened"}
    taken = dict(sizes.taken)
    assert len(set(taken.values())) == 3
    hands.seconds_a_step = lambda now: 7.0
    assert train(again, follows=summary).events == summary.events
    assert sizes.taken == taken
    assert same(weights(again), weights(first))


@pytest.mark.parametrize("full", [0.5, 1.0, 2.0])
def test_the_time_is_used_where_steps_take_as_long_as_their_patch_is_large(tiny_run, hands, monkeypatch, full) -> None:
    """A step takes `full` seconds times the work of its patch; the plan expects one second for the full patch."""
    sizes = Sizes(monkeypatch)
    growth = patch_growth(example_configuration(patch_size=(8, 12, 12), training=make_training(patch_growth=3)))
    work = {size: SHARE_OF_FIXED_WORK + (1 - SHARE_OF_FIXED_WORK) * math.prod(size) / 1152 for size in growth.sizes}
    hands.seconds_a_step = lambda now: full * work[next(reversed(sizes.taken.values()))]
    summary = train(tiny_run(**PLANNED, patch_growth=3))
    assert 0.9 * 60 <= summary.seconds_training <= 1.05 * 60 + full
    assert summary.steps == pytest.approx(60 / full / (sum(work.values()) / 3), rel=0.12)
    # with the planned pace there is nothing to revise: the length at the start already counts the small patches
    assert len([event for event in summary.events if event.step]) <= (0 if full == 1.0 else 3)


def test_an_epoch_of_small_patches_tells_the_pace_of_the_full_one() -> None:
    training = make_training(iterations=200)
    # five epochs of 10 steps at half a patch: five more are to come, then ten at the full one, of a second a step
    log = rows([10 * WORK_OF_HALF] * 5, set())
    assert pace(log, work=lambda a, b: HALVES.work(a, b, training, ()))[0] == pytest.approx(1.0)
    state = state_of(make_training, log)
    state.training = training.changed(iterations_per_epoch=10, validate_every=0)
    in_all = 100 * WORK_OF_HALF + 100
    revise_length(state, in_all, QUIET, growth=HALVES)
    assert state.events == (), "the time is what all of it takes"
    revise_length(state, in_all, QUIET)
    assert state.events[-1].iterations > 280, "without growth in view the rest would seem as cheap"


def test_small_patches_that_take_more_than_their_share_are_no_other_machine(tiny_run, hands) -> None:
    hands.seconds_a_step = lambda now: 0.9
    train(tiny_run(**PLANNED, patch_growth=3), at_other_pace="raise")


def test_a_given_time_begins_with_the_steps_that_small_patches_allow(tiny_run, hands, monkeypatch) -> None:
    monkeypatch.setattr("trainer.open_fold.measure_step", lambda *_, **__: StepCost(1.0, 0))
    hands.seconds_a_step = lambda now: 1.0
    growth = patch_growth(example_configuration(patch_size=(8, 12, 12), training=make_training(patch_growth=2)))
    summary = train(tiny_run(**PLANNED, patch_growth=2), seconds=20.0)
    assert summary.iterations == int(0.9 * 20 / growth.mean_work(0.0)) > 18


def test_a_fold_begins_with_what_its_time_affords() -> None:
    state = state_of(make_training, rows([10], set()))
    state.step, state.rows = 0, []
    begin_with_pace(state, 200.0, 1.0 * HALVES.mean_work(0.0), "as planned", QUIET)
    assert state.events[-1].iterations == int(200 / ((1 + WORK_OF_HALF) / 2))
