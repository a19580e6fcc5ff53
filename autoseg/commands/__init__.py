"""The commands, a file a command: its own words, and the order in which the stages work.

Only these and `autoseg/__init__.py` know planner, trainer and inference. Stages are imported inside functions, so that
`autoseg --help` costs nothing.
"""
