"""How much memory a plan is made for; the published targets are nnU-Net's (release 2.8.1) and of arXiv:2404.09556."""

import pytest

from autoseg.errors import PlanError
from planner.budget.memory_target import memory_target

GB = 2**30


@pytest.mark.parametrize(
    ("architecture", "published"), [("plain", 8), ("resenc_m", 8), ("resenc_l", 24), ("resenc_xl", 40)]
)
def test_unasked_it_is_what_the_architecture_was_published_for(architecture, published) -> None:
    target = memory_target(None, architecture, 80 * GB, "cuda")
    assert target.reference.value == target.followed.value == published
    # nothing is known of a device that is not here
    assert memory_target(None, architecture, None, "cuda").followed.value == published


def test_a_smaller_card_lowers_what_is_followed_and_not_the_reference() -> None:
    target = memory_target(None, "plain", 6 * GB, "cuda")
    assert (target.reference.value, target.followed.value) == (8, pytest.approx(5.4))
    assert "free on the device" in target.followed.reason and "8 GB" in target.followed.reason


def test_nine_tenths_of_what_is_free_hold_just_enough() -> None:
    assert memory_target(9.0, "plain", 10 * GB, "cuda").followed.value == 9.0
    assert memory_target(9.1, "plain", 10 * GB, "cuda").followed.value == 9.0


def test_auto_takes_the_whole_card_for_both_plans() -> None:
    target = memory_target("auto", "plain", 24 * GB, "cuda")
    assert target.reference.value == target.followed.value == pytest.approx(21.6)


@pytest.mark.parametrize(("free", "device"), [(None, "cuda"), (64 * GB, "cpu"), (None, "mps")])
def test_auto_needs_a_gpu_to_ask(free, device) -> None:
    with pytest.raises(PlanError, match="--memory 24"):
        memory_target("auto", "plain", free, device)


def test_on_a_cpu_the_machine_lowers_a_preset_and_not_what_was_asked_for() -> None:
    assert memory_target(None, "resenc_l", 16 * GB, "cpu").followed.value == pytest.approx(14.4)
    assert "this machine's memory" in memory_target(None, "resenc_l", 16 * GB, "cpu").followed.reason
    assert memory_target(24.0, "plain", 16 * GB, "cpu").followed.value == 24
