"""Rough treatment of the finished program, at random and with a seed: `python -m tests.torture`."""
