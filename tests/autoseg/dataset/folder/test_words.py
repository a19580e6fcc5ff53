"""Names are split into what people mean by them."""

import pytest

from autoseg.dataset.folder.words import in_order, split_name


@pytest.mark.parametrize(
    ("name", "rest", "sequence", "is_label"),
    [
        ("p01_T1", "p01", "T1", False),
        ("p01-t2w-left", "p01-left", "T2", False),
        ("P 01 T1 ce", "P 01", "T1ce", False),
        ("p1_T2_FLAIR", "p1", "FLAIR", False),
        ("p1_t1gd_seg", "p1", "T1ce", True),
        ("mask_p1", "p1", "", True),
        ("seg", "", "", True),
        ("STIR", "", "STIR", False),
        ("p1_image", "p1", "", False),
        # words inside of others, and label words in the middle, are names
        ("T10_patient", "T10_patient", "", False),
        ("masked_case", "masked_case", "", False),
        ("p_label_7", "p_label_7", "", False),
        ("CT001", "CT001", "", False),
        # two sequences tell none
        ("p1_T1_T2", "p1", "", False),
    ],
)
def test_words(name: str, rest: str, sequence: str, is_label: bool) -> None:
    found = split_name(name)
    assert (found.rest, found.sequence, found.is_label) == (rest, sequence, is_label)


def test_channels_have_one_order() -> None:
    assert in_order({"zebra", "STIR", "T2", "axial", "T1"}) == ("T1", "T2", "STIR", "axial", "zebra")
