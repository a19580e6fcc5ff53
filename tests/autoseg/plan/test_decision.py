"""A field gets its value and its reason together, also within settings and mappings to settings."""

import pytest
from pydantic import ValidationError

from autoseg.plan.configuration import Prediction
from autoseg.plan.decision import Decision, WithReasons
from tests.example_plan import example_plan


def test_a_field_gets_its_value_with_its_reason() -> None:
    settings = WithReasons.of(
        Prediction, overlap=Decision(0.5, "half a patch"), mirror=Decision((0, 1), "every long axis")
    )
    assert settings.value == Prediction(overlap=0.5, mirror=(0, 1))
    assert settings.reasons == {"overlap": "half a patch", "mirror": "every long axis"}
    off = settings.changed(mirror=Decision((), "each mirrored image costs as much again"))
    assert off.value == Prediction(overlap=0.5, mirror=())
    assert off.reasons == {"overlap": "half a patch", "mirror": "each mirrored image costs as much again"}
    assert settings.value.mirror == (0, 1), "the settings that were changed stay as they are"


def test_settings_within_settings_bring_their_reasons() -> None:
    whole = WithReasons(example_plan(), {"seed": "any", "configurations.3d.training.warmup": "none"})
    configuration = whole.value.configurations["3d"]
    training = WithReasons(configuration.training).changed(iterations=Decision(7, "a week"))
    changed = whole.changed(configurations={"3d": WithReasons(configuration).changed(training=training)})
    assert changed.value.configurations["3d"].training == configuration.training.changed(iterations=7)
    assert changed.reasons == {
        "seed": "any",
        "configurations.3d.training.warmup": "none",
        "configurations.3d.training.iterations": "a week",
    }


def test_a_part_has_its_own_reasons() -> None:
    configuration = WithReasons(
        example_plan().configurations["3d"],
        {"training.mirror": "sides", "prediction.mirror": "costs", "spacing": "median"},
    )
    part = configuration.part("training")
    assert part.value == configuration.value.training
    assert part.reasons == {"mirror": "sides"}


def test_an_unknown_field_and_an_impossible_value_are_refused() -> None:
    settings = WithReasons(Prediction(overlap=0.5, mirror=()))
    with pytest.raises(ValidationError, match="overlapp"):
        settings.changed(overlapp=Decision(0.5, "misspelt"))
    with pytest.raises(ValidationError, match="overlap"):
        settings.changed(overlap=Decision(1.5, "more than all"))
