"""Measures predictions: sizes of the classes, how far the members of an ensemble agree, and what to check first."""
