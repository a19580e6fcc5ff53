"""Opens predictions in viewers that are not autoseg's, and takes a picture of what they show.

Each file is a program of its own, with libraries of its own, which autoseg does not need: `series.py`, `ohif.py` and
`slicer.py` say which, and how they are run.
"""
