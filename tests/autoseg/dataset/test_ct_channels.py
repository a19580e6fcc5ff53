"""A CT is known by its name and its values, and where they disagree the user is told."""

import re

import numpy as np
import pytest

from autoseg.dataset.ct_channels import asked_for, decide, looks_like_ct, notes, reaches_air
from autoseg.errors import InputError


@pytest.mark.parametrize(
    ("values", "is_like"),
    [
        ([-1024, 40, 300], True),
        ([-900, 0, 1], True),
        ([-899, 0, 1], False),
        ([-1024, 40.5, 300], False),
        ([0, 255, 3], False),
        ([], False),
    ],
)
def test_values(values: list[float], is_like: bool) -> None:
    assert looks_like_ct(np.array(values, np.float32).reshape(1, 1, -1)) is is_like


TRUE, FALSE = (True,), (False,)


@pytest.mark.parametrize(
    ("name", "alike", "is_ct", "told"),
    [
        ("CT", [TRUE] * 4, True, None),
        ("ct", [FALSE] * 4, True, "is taken for CT, but only 0 of 4 images"),
        ("image", [TRUE] * 3 + [FALSE], True, "channel image is taken for CT: 3 of 4 images .* give --ct none"),
        ("image", [TRUE] * 2 + [FALSE] * 2, False, None),
        ("portal", [TRUE] * 4, True, "is taken for CT"),
        ("CT_portal", [TRUE] * 4, True, "is taken for CT"),
        ("CT_portal", [FALSE] * 4, False, "channel CT_portal is not taken for CT: only 0 of 4 .* give --ct CT_portal"),
        ("T1", [TRUE] * 4, False, "channel T1 is not taken for CT, although 4 of 4 .* give --ct T1"),
        ("T1", [FALSE] * 4, False, None),
    ],
)
def test_names_and_values(name: str, alike: list[tuple[bool]], is_ct: bool, told: str | None) -> None:
    present = [TRUE] * 4
    ct = decide([name], present, alike)
    assert ct == (is_ct,)
    sentences = notes([name], ct, present, alike, alike)
    if told is None:
        assert sentences == ()
    else:
        (sentence,) = sentences
        assert re.search(told, sentence)


@pytest.mark.parametrize(("name", "told"), [("image", True), ("portal", True), ("T1", False)])
def test_fractions_as_low_as_air_are_told(name: str, told: bool) -> None:
    """A CT that was resampled holds fractions; it is no CT by its values, and z-scored unless somebody says so."""
    volume = np.array([-1000.5, 40.25, 300], np.float32).reshape(1, 1, -1)
    assert reaches_air(volume) and not looks_like_ct(volume)
    present, alike, low = [TRUE] * 4, [FALSE] * 4, [TRUE] * 3 + [FALSE]
    ct = decide([name], present, alike)
    assert ct == (False,)
    sentences = notes([name], ct, present, alike, low)
    expected = f"channel {name} is not taken for CT: 3 of 4 images reach -900 and below, but not in whole numbers"
    assert [sentence.startswith(expected) for sentence in sentences] == [True] * told
    assert all(f"give --ct {name}" in sentence for sentence in sentences)


def test_absent_images_do_not_count() -> None:
    present = [(True, False), (True, True), (True, False)]
    alike = [(False, False), (False, True), (False, False)]
    assert decide(["a", "b"], present, alike) == (False, True)


def test_the_user_decides() -> None:
    assert asked_for(["T1", "portal"], ["Portal"]) == (False, True)
    assert asked_for(["CT"], ["none"]) == (False,)
    with pytest.raises(InputError, match="--ct late: there is no such channel; there are T1, portal, or none"):
        asked_for(["T1", "portal"], ["late"])
