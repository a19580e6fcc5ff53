"""What the commands and the functions behind them take where nothing is said; costs nothing to import."""

DEFAULT_CONFIGURATIONS = ("3d",)
DEFAULT_DIMENSIONS = ("2d", "2.5d", "3d")
"""Of a study."""
DEFAULT_MEMORY_GB = 8.0
DEFAULT_FOLDS = 5
DEFAULT_CPU_BUDGET = 40 * 60.0
"""Seconds for a whole run on a CPU."""
DEMO_BUDGET = "8m"
"""Time for the demonstration's run."""
