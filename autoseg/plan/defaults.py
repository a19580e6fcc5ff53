"""Default values of the commands and of the functions behind them; importing this module takes no time."""

DEFAULT_CONFIGURATIONS = ("3d",)
SLICES_ALONE = ("2d",)
"""Configurations, and dimensions of a study, of images of one slice."""
DEFAULT_DIMENSIONS = ("2d", "2.5d", "3d")
"""Input dimensions that a study compares."""
DEFAULT_FOLDS = 5
DEFAULT_CPU_BUDGET = 40 * 60.0
"""Time budget of a whole run on a CPU, in seconds."""
DEMO_BUDGET = "8m"
"""Time budget of the demonstration's run."""
