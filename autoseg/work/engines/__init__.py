"""Engines, which place the units of work of a RUN: on this machine, by Slurm, or by Ray."""
