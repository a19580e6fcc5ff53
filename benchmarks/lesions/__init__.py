"""Compares ideas for plans that find lesions, at equal time."""
