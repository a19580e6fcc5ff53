"""A choice as text after a path."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoseg.errors import ImageError
from autoseg.image.dicom.choice import Choice, place_and_choice
from autoseg.image.dicom.frame import Series
from autoseg.image.dicom.read import read_dicom
from tests.autoseg.image.dicom import write

# a description as a file may have it; the reader strips it
texts = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), min_size=1, max_size=20)
numbers = st.floats(0, 1e4).map(lambda number: float(f"{number:.6g}"))


@given(
    series=st.none() | texts,
    stack=st.none() | texts,
    image_type=st.none() | texts,
    echo=st.none() | numbers,
    time=st.none() | st.integers(1, 999),
)
def test_what_is_written_is_read(
    series: str | None, stack: str | None, image_type: str | None, echo: float | None, time: int | None
) -> None:
    choice = Choice(series=series, stack=stack, image_type=image_type, echo=echo, time=time)
    assert place_and_choice(choice.of(Path("a/scan"))) == (Path("a/scan"), choice)


def test_text_that_a_person_writes() -> None:
    place, choice = place_and_choice(Path("scan?series=*t1*&image_type=M&b_value=800&echo=4.92&time=2"))
    assert place == Path("scan")
    assert choice == Choice(series="*t1*", image_type="M", b_value=800, echo=4.92, time=2)
    assert place_and_choice(Path("scan?series=3"), Choice(echo=5.0)) == (Path("scan"), Choice(series="3", echo=5.0))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ecko=4", "'ecko' cannot be chosen; there are series, stack, image_type, echo"),
        ("echo=4,92", "echo is '4,92', and must be a number, such as 4.92"),
        ("echo=nan", "must be a number"),
        ("time=1.5", "time is '1.5', and must be a whole number"),
        ("echo=1&echo=2", "echo is given twice"),
        ("series=", "series is given no value"),
    ],
)
def test_malformed_text_is_refused(text: str, told: str) -> None:
    with pytest.raises(ImageError, match=rf"scan\?{text.split('&')[0]}.*{told}"):
        place_and_choice(Path(f"scan?{text}"))


@pytest.mark.parametrize("text", ["1.2.3", "7", "T1 [sag]", "t1*", "*SAG*", "T? [[]sag]"])
def test_a_series_by_identifier_number_description_or_pattern(text: str) -> None:
    assert Choice(series=text).fits_series(Series("1.2.3", "7", "T1 [sag]"))
    assert not Choice(series=text).fits_series(Series("1.2.30", "70", "PD tra"))


def test_the_way_that_is_told_keeps_what_was_chosen(tmp_path: Path) -> None:
    """Two series of two echoes each in one folder, as scanners' exports have them."""
    slices = [
        one.with_elements(EchoTime=echo, SeriesInstanceUID=f"1.2.{series}", SeriesNumber=series)
        for series in (3, 4)
        for echo in (10.0, 20.0)
        for one in write.stack(np.full((2, 2, 2), 100 * series + echo, np.int16))
    ]
    folder = write.series(tmp_path / "scan", slices)
    place, choice = place_and_choice(Path(f"{folder}?series=3"))
    with pytest.raises(ImageError) as refused:
        read_dicom(place, choice)
    named = str(refused.value).split("such as the last: '")[1].split("'")[0]
    assert named.endswith("scan?series=3&echo=20")
    assert (read_dicom(*place_and_choice(Path(named))).array == 320).all()
