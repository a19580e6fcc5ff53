"""Tests of the analysis of a study."""
