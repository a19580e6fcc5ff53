"""When the lesion-wise loss is planned."""

import math
from pathlib import Path

import pytest

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.dataset.read import read_dataset
from planner.additions.lesion_loss import LARGEST_DIAMETER_MM, WEIGHT, lesion_loss, with_lesions
from planner.rules.reference_plan import reference_plan
from tests.planner.fingerprints import fingerprint
from tests.planner.structures import with_structures
from tests.planner.test_fingerprint import first_cases


def balls(*diameters_mm: float) -> list[float]:
    """Volumes in mm³, largest first."""
    return sorted((math.pi / 6 * d**3 for d in diameters_mm), reverse=True)


def fingerprint_with(**diameters_mm: tuple[float, ...]) -> Fingerprint:
    """Six cases whose classes have balls of these diameters; every third lacks one of them, every third two."""
    measured = fingerprint([(4, 1, 1)] * 6, [(14, 160, 96)] * 6)
    parts = []
    for fewer in range(3):
        pieces = {name: balls(*d)[: max(1, len(d) - fewer)] if d else [] for name, d in diameters_mm.items()}
        parts.append(with_structures(measured, pieces))
    cases = tuple(part.cases[i] for i in range(2) for part in parts)
    return parts[0].changed(cases=cases)


@pytest.mark.parametrize(
    ("diameters", "planned"),
    [
        ((12, 8, 5), True),
        ((9, 9), True),
        ((8,), False),  # the same one in every case
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
    decision = lesion_loss(fingerprint_with(liver=(150,), tumour=(12, 9, 6, 6)))
    assert decision.value == WEIGHT
    assert decision.reason.startswith("tumour: small lesions, the median one 9 mm across")


def test_it_is_added_to_every_configuration_and_to_nothing_else() -> None:
    measured = fingerprint_with(lesion=(12, 8, 5))
    reference = reference_plan(measured)
    planned = with_lesions(reference, measured)
    assert (reference.plan.lesions, planned.plan.lesions) == ((), ("lesion",))
    assert set(planned.plan.configurations) == set(reference.plan.configurations) >= {"2d", "3d"}
    for name, configuration in planned.plan.configurations.items():
        before = reference.plan.configurations[name]
        assert (before.training.lesion_loss, configuration.training.lesion_loss) == (0, WEIGHT)
        assert configuration.training.changed(lesion_loss=0.0) == before.training
        assert "lesion: small lesions" in planned.reasons[f"configurations.{name}.training.lesion_loss"]


def test_real_organs_do_without_it(test_data: Path) -> None:
    _, organs = first_cases(read_dataset(test_data / "abdomen20"), 2)
    assert lesion_loss(organs).value == 0


def test_the_hippocampus_does_without_it(real) -> None:
    assert lesion_loss(real("hippocampus40")[1]).value == 0
