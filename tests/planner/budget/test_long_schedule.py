"""Without a limit of time: the reference plan, what of it fits into memory, and how long it is trained."""

import pytest

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.errors import PlanError
from autoseg.plan.configuration import Configuration
from planner.budget.cost import multiply_adds
from planner.rules.reference_plan import PlannedDecisions, reference_plan
from tests.example_plan import with_configuration
from tests.planner.machine import Machine, dataset, fit
from tests.planner.structures import with_structures


def without_length(configuration: Configuration) -> Configuration:
    """The configuration, with what a long schedule may change always the same."""
    changes = {"iterations": 1, "average_decay": 0.0, "validate_every": 0}
    training = configuration.training.changed(**changes)
    return configuration.changed(batch_size=1, training=training)


def test_without_a_budget_the_reference_stands() -> None:
    measured = dataset("isotropic")
    reference = reference_plan(measured)
    machine = Machine(sample_bytes=1)
    plan = fit(measured, machine, None, device="cuda", reference=reference).plan
    ours, theirs = plan.configurations["3d"], reference.plan.configurations["3d"]
    assert without_length(ours) == without_length(theirs)
    assert ours.batch_size == theirs.batch_size
    assert plan.device == "cuda"
    assert plan.time_budget_seconds is None
    slices, of_reference = plan.configurations["2d"], reference.plan.configurations["2d"]
    assert slices.batch_size == of_reference.batch_size
    assert without_length(slices) == without_length(of_reference)
    assert len(machine.measured) == 1
    assert machine.measured[0].batch_size == theirs.batch_size


def with_batch(measured: Fingerprint, batch: int) -> PlannedDecisions:
    """The reference plan with another batch size."""
    reference = reference_plan(measured)
    plan = with_configuration(reference.plan, "3d", batch_size=batch)
    return PlannedDecisions(plan, dict(reference.reasons))


@pytest.mark.parametrize(("gigabytes", "fits"), [(0.5, 12), (1.0, 8), (1.5, 5), (3.0, 2), (5.0, 1)])
def test_only_the_batch_is_lowered_where_memory_is_short(gigabytes: float, fits: int) -> None:
    measured = dataset("isotropic")
    reference = with_batch(measured, 12)
    assert reference.plan.memory_gb == 8
    machine = Machine(sample_bytes=round(gigabytes * 2**30))
    fitted = fit(measured, machine, None, device="cuda", reference=reference)
    ours, theirs = fitted.plan.configurations["3d"], reference.plan.configurations["3d"]
    assert ours.batch_size == fits
    assert without_length(ours) == without_length(theirs)
    said = fitted.reasons["configurations.3d.batch_size"]
    assert ("measured" in said) == (fits < 12)


def test_a_step_that_does_not_fit_at_all_lowers_the_batch() -> None:
    measured = dataset("isotropic")
    reference = with_batch(measured, 4)
    configuration = reference.plan.configurations["3d"]
    one = multiply_adds(configuration.network, configuration.patch_size, 1, 2)
    fitted = fit(measured, Machine(most_work=2.5 * one), None, device="cuda", reference=reference)
    assert fitted.plan.configurations["3d"].batch_size == 2


def test_every_configuration_gets_a_length_weights_averaged_and_looks_at_whole_cases() -> None:
    fitted = fit(dataset("large"), Machine(), None, device="cuda")
    assert set(fitted.plan.configurations) == {"2d", "3d", "3d_lowres"}
    for name, configuration in fitted.plan.configurations.items():
        training = configuration.training
        assert "passes over the data set" in fitted.reasons[f"configurations.{name}.training.iterations"]
        assert 0.9 < training.average_decay < 1
        epochs = training.iterations // training.iterations_per_epoch
        assert 0 < training.validate_every < epochs


def test_sides_are_never_mirrored_in_any_configuration() -> None:
    measured = with_structures(dataset("isotropic"), {"left kidney": [1000.0], "right kidney": [1000.0]})
    fitted = fit(measured, Machine(), None, device="cuda")
    for configuration in fitted.plan.configurations.values():
        assert 2 not in configuration.training.mirror
        assert 2 not in configuration.prediction.mirror
        assert 1 in configuration.training.mirror


def test_larger_data_sets_are_trained_longer_within_bounds() -> None:
    small, large = (
        fit(dataset(data), Machine(), None, device="cuda").plan.configurations["3d"].training
        for data in ("isotropic", "large")
    )
    assert small.iterations < large.iterations
    for training in (small, large):
        assert training.iterations % training.iterations_per_epoch == 0
        # nnU-Net's 1000 epochs of 250 steps are the most
        assert 50_000 <= training.iterations <= 250_000


def test_where_not_even_one_patch_of_the_reference_fits_a_smaller_one_is_planned() -> None:
    measured = dataset("large")
    reference = reference_plan(measured)
    full = reference.plan.configurations["3d"]
    one = multiply_adds(full.network, full.patch_size, 1, 2)
    fitted = fit(measured, Machine(most_work=one // 3), None, device="cuda", reference=reference).plan
    lowered = fitted.configurations["3d"]
    assert lowered.batch_size == 1
    assert lowered.network.features[0] == full.network.features[0]
    assert lowered.spacing == full.spacing
    assert one // 10 < multiply_adds(lowered.network, lowered.patch_size, 1, 2) <= one // 3
    with pytest.raises(PlanError, match="no patch fits into 8 GB"):
        fit(measured, Machine(most_work=1000), None, device="cuda", reference=reference)


def test_large_batches_are_lowered_in_few_measurements() -> None:
    measured = dataset("isotropic")
    machine = Machine(sample_bytes=2**28)
    fitted = fit(measured, machine, None, device="cuda", reference=with_batch(measured, 366)).plan
    assert fitted.configurations["3d"].batch_size == 32
    assert len(machine.measured) <= 12
