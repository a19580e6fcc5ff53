"""The version of autoseg, which files that it writes for other programs state."""

VERSION = "0.1.0"
