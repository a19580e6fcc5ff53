"""Numbers and ranges as people read them."""

import pytest

from autoseg.number_text import number_text, range_text


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (2.566e5, 4, "256,600"),
        (-1024, 4, "-1,024"),
        (999.96, 4, "1,000"),
        (0.00012345, 4, "0.0001234"),
        (0, 4, "0"),
        (1500.4, 3, "1,500"),
        (135.64, 3, "136"),
        (1e13, 4, "1e+13"),
    ],
)
def test_a_number_is_rounded_and_has_no_exponent_where_it_can_be_read_without(value, digits, text):
    assert number_text(value, digits) == text


def test_a_range_of_one_number_is_one_number():
    assert range_text(1.0, 1.00001) == "1" and range_text(0.5, 2) == "0.5 to 2"
