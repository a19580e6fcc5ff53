"""Colours of classes: the published palette first, and no colour twice."""

from autoseg.image.segment_colours import colour_of, parsed_colour, written_colour


def test_the_first_seven_are_okabe_and_itos() -> None:
    first = [written_colour(colour_of(number)) for number in range(1, 8)]
    assert first == ["#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7"]


def test_no_two_of_all_classes_share_a_colour() -> None:
    colours = [colour_of(number) for number in range(1, 256)]
    assert len(set(colours)) == 255
    assert all(0 <= part <= 255 for colour in colours for part in colour)


def test_a_colour_is_read_as_it_is_written() -> None:
    assert parsed_colour(written_colour((1, 160, 255))) == (1, 160, 255)
    assert parsed_colour("red") is None and parsed_colour("#12345") is None
