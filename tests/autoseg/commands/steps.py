"""What tests of planning and training on one small data set do as a person would."""

import re

import autoseg

CASES = [f"ball_{i}" for i in range(5)]


def again(dataset, run, **options):
    return autoseg.plan_and_preprocess(dataset, run.path, workers=1, **options)


def edit(run, pattern, replacement):
    """Edit the configuration 3d of plan.yaml, as a person would in a text editor."""
    text = run.plan.read_text(encoding="utf-8")
    start = text.index("\n  3d:")
    changed = text[:start] + re.sub(pattern, replacement, text[start:], count=1)
    assert changed != text
    run.plan.write_text(changed, encoding="utf-8")


def preprocessed_times(run, configuration="3d"):
    return {case: (run.case(configuration, case) / "image.b2nd").stat().st_mtime_ns for case in CASES}
