"""Reads and writes NIfTI-1 and NIfTI-2, and reads MGH: nibabel reads and makes the headers."""
