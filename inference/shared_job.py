"""What decides a prediction beside its image, as a text: two processes share cases where it is equal.

The device and the number of threads are not in it: machines that are unlike share the cases of a folder.
"""

from __future__ import annotations

from collections.abc import Sequence

from autoseg.disk.checksums import digest_of
from autoseg.network.weights import training_of
from autoseg.plan.plan import Plan
from autoseg.run_folder.paths import RunFolder
from autoseg.version import VERSION
from inference.ensemble_groups import Group
from inference.writers import OutputFormat, segments_for


def shared_job(
    run: RunFolder, plan: Plan, groups: Sequence[Group], wanted: OutputFormat, options: Sequence[object]
) -> str:
    """Return the text that is equal where two processes predict the same of the same image.

    Args:
        run: RUN folder of the models.
        plan: its plan.
        groups: loaded models.
        wanted: format of the predictions; of its table of codes counts what it says of the classes.
        options: further options that change what is written.

    Raises:
        InputError: the table of codes is malformed.
    """
    models = [(group.name, fold, training_of(run, group.name, fold)) for group in groups for fold in group.folds]
    # the fingerprint gives the size of pixels, and what is odd in an image
    facts = (VERSION, plan, digest_of(run.fingerprint), models, wanted.name, wanted.seg_type)
    return repr((*facts, segments_for(wanted, plan), *options))
