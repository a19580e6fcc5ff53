import io

import pytest
from rich.console import Console

from trainer.checkpoint import LogRow, Requested, State, forget_pace
from trainer.events import (
    change_threads,
    end_now,
    pace,
    pace_of,
    revise_length,
    tell_what_it_takes,
)
from trainer.schedule import iterations_after, learning_rate, progress, threads_after

QUIET = Console(file=io.StringIO())


def rows(durations: list[float], validated: set[int], steps: int = 10) -> list[LogRow]:
    """Log of epochs of `steps` steps and these seconds; after the epochs `validated` (from 1) whole cases were seen."""
    return [
        LogRow(
            epoch=i,
            step=i * steps,
            learning_rate=1e-3,
            loss=0.5,
            train_dice=0.5,
            val_dice=0.5 if i in validated else None,
            seconds=sum(durations[:i]),
        )
        for i in range(1, len(durations) + 1)
    ]


def state_of(training, log: list[LogRow]) -> State:
    return State(
        step=log[-1].step,
        training=training(iterations=200, iterations_per_epoch=10, validate_every=5),
        requested=Requested(),
        seconds=log[-1].seconds,
        threads=1,
        torch_version="2",
        plan_sha256="",
        rows=log,
    )


def test_a_look_at_whole_cases_is_no_slow_step() -> None:
    assert pace(rows([30, 10, 10, 10, 25], {5})) == pytest.approx((1.0, 15.0))
    assert pace(rows([30], set())) == pytest.approx((3.0, 0.0))
    assert pace(rows([20, 20], {1, 2})) == pytest.approx((2.0, 0.0)), "a look after every epoch"
    assert pace(rows([10] * 6 + [20] * 3, set()))[0] == pytest.approx(2.0), "a machine that slowed down"


@pytest.mark.parametrize(
    ("limit", "ends"),
    [
        (245, None),
        (230, None),  # 15 s late, which 130 steps more will tell better
        (264, None),  # 19 steps more would be less than a tenth
        (290, 230),
        (505, 400),  # more steps mean more validations
        (210, 165),
        (110, 95),
    ],
)
def test_the_length_follows_the_time_both_ways_where_it_is_worth_it(training, limit: float, ends: int | None) -> None:
    # 200 steps of a second and three validations of 15 s: 245 s in all, of which 65 s are over after 50 steps
    state = state_of(training, rows([10, 10, 10, 10, 25], {5}))
    revise_length(state, limit, QUIET)
    assert (state.events[-1].iterations if state.events else None) == ends
    if ends is not None:
        assert state.events[-1].kind == ("lengthened" if ends > 200 else "shortened")
        assert progress(state.step, state.training, state.events) == pytest.approx(50 / 200), "no jump of the rate"


@pytest.mark.parametrize(("limit", "ends"), [(241, None), (230, 185)])
def test_what_would_end_late_is_shortened_by_little_once_most_is_done(training, limit: float, ends: int | None) -> None:
    # 15 of 20 epochs with three validations: 195 s, and 50 s to come
    state = state_of(training, rows([10, 10, 10, 10, 25] * 3, {5, 10, 15}))
    revise_length(state, limit, QUIET)
    assert (state.events[-1].iterations if state.events else None) == ends


def test_a_middling_change_waits_for_epochs_that_tell(training) -> None:
    # a quarter slower than planned: 200 steps in 200 s
    for count, ends in ((1, None), (4, None), (5, 160)):
        state = state_of(training, rows([12.5] * count, set()))
        state.training = state.training.changed(validate_every=0)
        revise_length(state, 200.0, QUIET)
        assert (state.events[-1].iterations if state.events else None) == ends


def test_one_epoch_alone_is_believed_only_where_it_tells_of_much(training) -> None:
    # 200 steps planned in 200 s
    for first, ends in ((12.0, None), (8.0, None), (4.0, 500), (40.0, 50)):
        state = state_of(training, rows([first], set()))
        revise_length(state, 200.0, QUIET)
        assert (state.events[-1].iterations if state.events else None) == ends


def test_rows_of_other_threads_or_another_machine_tell_no_pace(training) -> None:
    state = state_of(training, rows([10, 10, 10, 30], set()))
    change_threads(state, 2, "others have ended", QUIET)
    state.rows = rows([10, 10, 10, 30, 5, 5, 5], set())
    assert pace_of(state)[0] == pytest.approx(0.5)


def test_after_a_collapse_the_time_of_what_was_undone_is_no_pace(training) -> None:
    # the fifth epoch of 10 s was undone: the next one ends 20 s after the fourth
    state = state_of(training, rows([10, 10, 10, 10], set()))
    state.seconds += 10
    forget_pace(state)
    state.rows = [*state.rows, state.rows[-1].changed(step=50, seconds=60.0)]
    assert pace_of(state)[0] == pytest.approx(1.0)


def test_other_threads_are_an_event_and_change_no_length(training) -> None:
    state = state_of(training, rows([10, 10], set()))
    change_threads(state, 1, "other programs use 1.0 cores", QUIET)
    (event,) = state.events
    assert (event.kind, event.step, event.iterations, event.threads) == ("threads", 20, 200, 1)
    assert "other programs use 1.0 cores" in event.reason
    assert threads_after(2, state.events) == 1
    assert learning_rate(30, state.training, state.events) == pytest.approx(learning_rate(30, state.training, ()))


def test_a_fold_whose_time_is_over_within_an_epoch_ends_there(training) -> None:
    state = state_of(training, rows([10, 10], set()))
    state.step = 27
    end_now(state, QUIET)
    assert iterations_after(state.training, state.events) == 27


@pytest.mark.parametrize(
    ("limit", "said"), [(150.0, "3 min 20 s: 50 s more than its time"), (260.0, "1 min of its time left over")]
)
def test_of_a_length_that_a_person_wrote_the_cost_is_told(training, limit: float, said: str) -> None:
    told = io.StringIO()
    state = state_of(training, rows([10, 10, 10], set()))
    state.training = state.training.changed(validate_every=0)
    tell_what_it_takes(state, limit, Console(file=told, width=200))
    assert said in " ".join(told.getvalue().split())
    assert state.events == ()


def test_a_look_that_is_expected_is_kept_time_for(training) -> None:
    # 155 s are left for steps of half a second and validations of 10 s, of which none was seen yet
    state = state_of(training, rows([5, 5, 5, 5, 5], set()))
    revise_length(state, 180.0, QUIET, expected_validation=10.0)
    with_looks = state.events[-1].iterations
    state = state_of(training, rows([5, 5, 5, 5, 5], set()))
    revise_length(state, 180.0, QUIET)
    assert with_looks < state.events[-1].iterations == 50 + 310
    validations = (-(-with_looks // 10) - 1) // 5 - 1
    assert 25 + 0.5 * (with_looks - 50) + 10 * validations == pytest.approx(180, rel=0.08)


def test_noise_is_averaged_and_a_change_of_the_machine_is_not(training) -> None:
    noise = [10, 9, 11, 9, 11, 9, 11, 10, 10, 9, 9, 9]
    assert pace(rows(noise, set()))[0] == pytest.approx(sum(noise[1:]) / 110)
    assert pace(rows([*noise, 15, 15, 15], set()))[0] == pytest.approx(1.5)


def test_a_schedule_that_ends_where_a_look_would_be_taken_is_left_alone(training) -> None:
    # 350 steps and a look take all of the time; one step more would mean another look
    state = state_of(training, rows([10] * 30, set()))
    state.training = state.training.changed(iterations=350)
    for limit in (355.0, 360.0, 370.0):
        revise_length(state, limit, QUIET, expected_validation=15.0)
    assert state.events == ()
