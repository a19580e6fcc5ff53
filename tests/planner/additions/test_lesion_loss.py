"""When the lesion-wise loss is planned."""

import math
from pathlib import Path

import pytest

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.dataset.read import read_dataset
from planner.additions.lesion_loss import LARGEST_DIAMETER_MM, WEIGHT, components_of, lesion_loss, with_lesion_loss
from planner.fingerprint import measure_fingerprint
from planner.rules.reference_plan import reference_plan
from tests.planner.fingerprints import fingerprint
from tests.planner.structures import with_structures
from tests.planner.test_fingerprint import first_cases


def balls(*diameters_mm: float) -> list[float]:
    """Volumes in mm³, largest first."""
    return sorted((math.pi / 6 * d**3 for d in diameters_mm), reverse=True)


def fingerprint_with(**diameters_mm: tuple[float, ...]) -> Fingerprint:
    """Five equal cases whose classes have balls of these diameters."""
    measured = fingerprint([(4, 1, 1)] * 5, [(14, 160, 96)] * 5)
    return with_structures(measured, {name: balls(*d) for name, d in diameters_mm.items()})


@pytest.mark.parametrize(
    ("diameters", "planned"),
    [
        ((12, 8, 5), True),
        ((9, 9), True),
        ((8,), False),  # one a case: nothing to hide it
        ((), False),
        ((35, 34, 33, 34, 35), False),  # vertebrae
        ((90, 2, 2, 3), False),  # an organ with specks of the drawing
        ((LARGEST_DIAMETER_MM - 0.1,) * 3, True),
        ((LARGEST_DIAMETER_MM + 0.1,) * 3, False),
    ],
)
def test_several_small_pieces_turn_it_on(diameters: tuple[float, ...], planned: bool) -> None:
    decision = lesion_loss(fingerprint_with(lesion=diameters))
    assert decision.value == (WEIGHT if planned else 0)


def test_one_class_of_several_is_enough_and_is_named() -> None:
    decision = lesion_loss(fingerprint_with(liver=(150,), tumour=(14, 9, 6)))
    assert decision.value == WEIGHT
    assert decision.reason.startswith("tumour: small components (3 in the median case, the median one 9 mm across)")


def test_pieces_are_counted_in_the_cases_that_have_the_class() -> None:
    lesions, none = fingerprint_with(lesion=(10, 8, 6)), fingerprint_with(lesion=())
    mixed = lesions.changed(cases=(*none.cases, *lesions.cases[:2]))
    components = components_of(mixed, "lesion")
    assert components is not None
    assert (components.a_case, components.diameter_mm) == (3, pytest.approx(8))
    assert components.outside_largest == pytest.approx((8**3 + 6**3) / (10**3 + 8**3 + 6**3))
    assert components_of(none, "lesion") is None


def test_it_is_added_to_every_configuration_and_to_nothing_else() -> None:
    measured = fingerprint_with(lesion=(12, 8, 5))
    reference = reference_plan(measured)
    planned = with_lesion_loss(reference, measured)
    assert set(planned.plan.configurations) == set(reference.plan.configurations) >= {"2d", "3d"}
    for name, configuration in planned.plan.configurations.items():
        before = reference.plan.configurations[name]
        assert (before.training.lesion_loss, configuration.training.lesion_loss) == (0, WEIGHT)
        assert configuration.training.changed(lesion_loss=0.0) == before.training
        assert "lesion: small components" in planned.reasons[f"configurations.{name}.training.lesion_loss"]


def test_real_organs_do_without_it(test_data: Path) -> None:
    _, organs = first_cases(read_dataset(test_data / "abdomen20"), 2)
    assert lesion_loss(organs).value == 0


def test_the_hippocampus_does_without_it(test_data: Path) -> None:
    assert lesion_loss(measure_fingerprint(read_dataset(test_data / "hippocampus40"), workers=1)).value == 0
