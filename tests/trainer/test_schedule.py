import itertools

import pytest

from autoseg.plan.configuration import LengthDependent
from trainer.schedule import (
    CLIP_AFTER_COLLAPSE,
    Event,
    gradient_clip,
    iterations_after,
    learning_rate,
    of_length,
    progress,
)


def shortened(step: int, iterations: int) -> Event:
    return Event(kind="shortened", step=step, iterations=iterations, rate_factor=1.0, reason="slow")


def test_sgd_is_polynomial(training) -> None:
    settings = training(optimizer="sgd", learning_rate=0.01, iterations=1000)
    for step in (0, 1, 500, 999):
        assert learning_rate(step, settings, ()) == pytest.approx(0.01 * (1 - step / 1000) ** 0.9)


def test_one_cycle_peaks_after_warmup_and_ends_low(training) -> None:
    settings = training(optimizer="adamw", learning_rate=1e-3, warmup=0.1, iterations=1000)
    rates = [learning_rate(step, settings, ()) for step in range(1000)]
    assert max(rates) == pytest.approx(1e-3) and rates.index(max(rates)) == 100
    assert rates[0] == pytest.approx(4e-5)
    assert rates[-1] < 1e-6
    assert rates[:101] == sorted(rates[:101]) and rates[100:] == sorted(rates[100:], reverse=True)


def test_a_shortened_schedule_is_continuous_and_still_ends_at_one(training) -> None:
    settings = training(iterations=1000)
    events = (shortened(400, 700), shortened(500, 600))
    assert progress(400, settings, events) == pytest.approx(0.4)
    assert progress(499, settings, events) == pytest.approx(0.4 + 0.6 * 99 / 300)
    assert progress(600, settings, events) == pytest.approx(1.0)
    assert iterations_after(settings, events) == 600


def test_a_restore_scales_the_rate_from_its_step_on(training) -> None:
    settings = training(optimizer="sgd", iterations=100, learning_rate=0.01)
    event = Event(kind="restored", step=10, iterations=100, rate_factor=0.5, reason="collapsed")
    assert learning_rate(9, settings, (event,)) == learning_rate(9, settings, ())
    assert learning_rate(10, settings, (event,)) == pytest.approx(0.5 * learning_rate(10, settings, ()))


def test_gradients_are_clipped_more_after_a_collapse_of_adamw(training) -> None:
    restored = Event(kind="restored", step=50, iterations=100, rate_factor=0.5, reason="no foreground")
    for optimizer, after in (("adamw", CLIP_AFTER_COLLAPSE), ("sgd", 12.0)):
        settings = training(optimizer=optimizer, gradient_clip=12.0)
        assert gradient_clip(settings, (shortened(40, 90),)) == 12.0
        assert gradient_clip(settings, (restored, shortened(60, 90))) == after
    assert gradient_clip(training(optimizer="adamw", gradient_clip=0.1), (restored,)) == 0.1


def test_a_lengthened_schedule_is_continuous_and_still_ends_at_one(training) -> None:
    settings = training(iterations=200)
    events = (Event(kind="lengthened", step=20, iterations=900, rate_factor=1.0, reason="quick"),)
    assert progress(20, settings, events) == pytest.approx(0.1)
    assert progress(460, settings, events) == pytest.approx(0.55)
    assert progress(900, settings, events) == pytest.approx(1.0)
    rates = [learning_rate(step, settings, events) for step in range(900)]
    # never faster than the planned schedule changes, and so slower from the event on
    steps = [abs(b - a) for a, b in itertools.pairwise(rates)]
    planned = [learning_rate(step, settings, ()) for step in range(200)]
    assert max(steps) <= max(abs(b - a) for a, b in itertools.pairwise(planned)) + 1e-12


def test_what_depends_on_the_length_follows_it(training) -> None:
    rule = LengthDependent(full_dropout_from=1200, mirror_from=20_000, mirror=(0, 1))
    planned = training(iterations=300, sequence_dropout=0.125, mirror=(), by_length=rule)
    assert of_length(planned, 300).sequence_dropout == 0.125
    assert of_length(planned, 900).sequence_dropout == 0.375
    assert of_length(planned, 5000).sequence_dropout == 0.5
    assert of_length(planned, 30).sequence_dropout == pytest.approx(0.0125, abs=5e-4)
    assert of_length(planned, 19_999).mirror == ()
    assert of_length(planned, 20_000).mirror == (0, 1)
    longer = training(iterations=24_000, sequence_dropout=0.5, mirror=(0, 1), by_length=rule)
    assert of_length(longer, 600).mirror == ()
    assert of_length(longer, 600).sequence_dropout == 0.25


def test_what_a_person_wrote_or_a_plan_without_rules_stays(training) -> None:
    rule = LengthDependent(full_dropout_from=1200, mirror_from=20_000, mirror=(0, 1))
    edited = training(iterations=300, sequence_dropout=0.3, mirror=(2,), by_length=rule)
    kept = of_length(edited, 40_000, {"mirror", "sequence_dropout"})
    assert (kept.mirror, kept.sequence_dropout) == ((2,), 0.3)
    without = training(iterations=300, sequence_dropout=0.3, mirror=(2,))
    assert of_length(without, 40_000) == without
