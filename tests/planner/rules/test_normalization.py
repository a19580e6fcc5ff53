"""Normalisation follows from modality and crop."""

import pytest

from planner.rules.normalization import normalize_channels
from tests.planner.fingerprints import fingerprint


@pytest.mark.parametrize(("relative_size", "masked"), [(0.5, True), (0.7499, True), (0.75, False), (1.0, False)])
def test_by_modality_and_crop(relative_size: float, masked: bool) -> None:
    measured = fingerprint([(1, 1, 1)], [(9, 9, 9)], modalities=("ct", "other"), relative_size=relative_size)
    decision = normalize_channels(measured)
    ct, mr = decision.value
    assert (ct.normalization, ct.inside_nonzero_mask) == ("ct", False)
    assert (mr.normalization, mr.inside_nonzero_mask) == ("z_score", masked)
    assert ct.name == "channel 0"
    assert ct.foreground == measured.intensities[0]
    assert f"{relative_size:.0%}" in decision.reason


def test_colours_of_pictures_are_divided_by_255() -> None:
    measured = fingerprint([(1, 1, 1)], [(1, 9, 9)], modalities=("rgb", "rgb", "rgb"), relative_size=0.5)
    decision = normalize_channels(measured)
    found = {(channel.normalization, channel.inside_nonzero_mask) for channel in decision.value}
    assert found == {("rgb_to_0_1", False)}
    assert decision.reason == "8-bit colours divided by 255, as nnU-Net's rgb_to_0_1"
