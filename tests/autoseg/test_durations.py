import pytest

from autoseg.durations import format_duration, parse_duration
from autoseg.errors import InputError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("40m", 2400), ("2h", 7200), ("1h30m", 5400), ("1.5h", 5400), ("1H 2m3s", 3723), (12.5, 12.5)],
)
def test_a_length_of_time_is_read(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "40", "m", "30m1h", "-5m", "40 minutes", "0s", 0, float("inf"), "1h30"])
def test_what_is_no_length_of_time_is_refused_by_name(text):
    with pytest.raises(InputError, match=str(text).strip("-") or "''"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (125, "2 min 5 s"),
        (3600, "1 h"),
        (5400, "1 h 30 min"),
        (86400 * 3 + 4 * 3600, "3 days 4 h"),
        (86400, "1 day"),
    ],
)
def test_a_length_of_time_is_written_in_two_units(seconds, text):
    assert format_duration(seconds) == text
