"""Numbers and ranges of numbers as texts for people, without exponents where they can be read without."""

from __future__ import annotations

_LARGEST_IN_FULL = 1e12


def number_text(value: float, digits: int = 4) -> str:
    """Return a number rounded to some digits, such as `256,600`."""
    if abs(value) >= _LARGEST_IN_FULL:
        return f"{value:.{digits}g}"
    rounded = float(f"{value:.{digits}g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 10 ** (digits - 1) else f"{rounded:.{digits}g}"


def range_text(lowest: float, highest: float, digits: int = 4) -> str:
    """Return a range such as `0.5 to 2`, and a single number where both ends read alike."""
    low, high = number_text(lowest, digits), number_text(highest, digits)
    return low if low == high else f"{low} to {high}"
