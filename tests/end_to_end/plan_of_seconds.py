"""A plan with which a whole run takes seconds, in place of the one for the time at hand."""

from collections.abc import Callable

from autoseg.plan.configuration import Configuration, Prediction
from planner.rules.reference_plan import PlannedDecisions
from tests.example_plan import example_network

FITTED = "planner.budget.time_budget.fit_to_budget"
"""Name of the function that makes the plan for the time at hand."""


def plan_of_seconds(lesion: str) -> Callable[..., PlannedDecisions]:
    """A function to put in the place of `FITTED`; `lesion` is a class of lesions, so that these are scored too."""

    def fit(decisions: PlannedDecisions, *arguments: object, device: str, **options: object) -> PlannedDecisions:
        planned = {"3d": shrunk(decisions.plan.configurations["3d"])}
        plan = decisions.plan.changed(configurations=planned, device=device, lesions=(lesion,))
        return PlannedDecisions(plan, decisions.reasons)

    return fit


def shrunk(reference: Configuration) -> Configuration:
    """A network and a schedule that take seconds."""
    training = {"iterations": 80, "iterations_per_epoch": 40, "optimizer": "adamw", "learning_rate": 0.02}
    training |= {"warmup": 0.1, "average_decay": 0.9, "mirror": (), "validate_every": 1, "lesion_loss": 0.3}
    return reference.changed(
        patch_size=(8, 24, 24),
        batch_size=2,
        network=example_network(
            features=(8, 16),
            strides=((1, 1, 1), (1, 2, 2)),
            kernel_sizes=((3, 3, 3),) * 2,
            encoder_blocks=(1, 1),
            decoder_blocks=(1,),
        ),
        training=reference.training.changed(**training),
        prediction=Prediction(overlap=0.5, mirror=()),
    )
