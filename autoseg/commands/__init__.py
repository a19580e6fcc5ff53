"""Composes the stages into the commands: the only package that knows planner, trainer and inference.

`planning` (check, fingerprint, plan, split, preprocess), `training`, `predicting` (predict, evaluate),
`whole` (run, demo). Stages are imported inside functions, so that importing this costs nothing.
"""
