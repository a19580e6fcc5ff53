"""Which classes are lesions."""

import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.dataset.read import read_dataset
from autoseg.synthetic_spine.kinds import KINDS
from autoseg.synthetic_spine.write import make_phantom
from planner.additions.lesion_classes import lesion_classes, pieces_of
from planner.fingerprint import measure_fingerprint
from tests.planner.fingerprints import fingerprint
from tests.planner.structures import with_structures

EXTENT_MM = 200


def cases_with(*diameters_mm: Sequence[float]) -> Fingerprint:
    """Cubes of 200 mm, one for each entry, whose class `thing` has balls of these diameters."""
    measured = fingerprint([(2, 2, 2)] * len(diameters_mm), [(100, 100, 100)] * len(diameters_mm))
    volumes = [sorted((math.pi / 6 * d**3 for d in of_case), reverse=True) for of_case in diameters_mm]
    parts = [with_structures(measured, {"thing": of_case}) for of_case in volumes]
    return parts[0].changed(cases=tuple(part.cases[i] for i, part in enumerate(parts)))


def test_pieces_are_counted_by_their_share_of_the_volume() -> None:
    pieces = pieces_of(cases_with([10, 10], [10, 10, 10, 10], [40, 1, 1, 1]), "thing")
    assert pieces is not None
    specks = (40**3 + 3) ** 2 / (40**6 + 3)
    numbers = [2, 4, specks]
    mean = sum(numbers) / 3
    assert pieces.a_case == pytest.approx(mean)
    assert pieces.varies == pytest.approx(math.sqrt(sum((n - mean) ** 2 for n in numbers) / 3) / mean)
    assert (pieces.diameter_mm, pieces.of_extent) == pytest.approx((40, 40 / EXTENT_MM))
    assert pieces.small_mm == pytest.approx(10)


@pytest.mark.parametrize(
    ("cases", "lesions"),
    [
        ([[12, 8, 5], [9], [], [20, 7]], True),  # metastases
        ([[25], [], [12], []], True),  # one nodule, in some patients
        ([[60], [70], [65], [68]], False),  # an organ
        ([[60, 3, 2], [70], [65, 4], [68, 1, 1, 1]], False),  # an organ with specks of the drawing
        ([[70, 68], [66, 65], [71, 69], [70]], False),  # two organs, of which one was taken out once
        ([[15], [14], [16], [15]], False),  # a small structure that everybody has
        ([[34, 35, 36, 37, 38], [34, 35, 36, 37], [33, 34, 35, 36, 38, 39]], False),  # vertebrae
    ],
)
def test_what_differs_and_is_small_is_a_lesion(cases: list[list[float]], lesions: bool) -> None:
    decision = lesion_classes(cases_with(*cases))
    assert decision.value == (("thing",) if lesions else ())
    assert "thing: " in decision.reason


def test_cases_whose_components_ignored_voxels_cut_tell_nothing() -> None:
    """An organ that is cut in every second case is no class that comes and goes."""
    whole = cases_with([60], [70], [65], [68])
    half = tuple(
        case.changed(classes={"thing": case.classes["thing"].changed(components_mm3=() if i % 2 else (1.0,))})
        for i, case in enumerate(whole.cases)
    )
    cut = whole.changed(cases=(*whole.cases[:2], *half[2:]))
    assert pieces_of(cut, "thing") == pieces_of(whole.changed(cases=whole.cases[:2]), "thing")
    none = lesion_classes(whole.changed(cases=half))
    assert none.value == () and none.reason.endswith("ignored voxels cut every component, so that no size is known")


def test_a_class_that_no_case_has_is_none() -> None:
    empty = cases_with([], [])
    assert pieces_of(empty, "thing") is None and lesion_classes(empty).value == ()


@pytest.mark.parametrize(
    ("name", "lesions"), [("liver_lesions20", ("lesion",)), ("abdomen20", ()), ("hippocampus40", ())]
)
def test_real_organs_and_implanted_lesions_are_told_apart(real, name: str, lesions: tuple[str, ...]) -> None:
    _, measured = real(name)
    assert lesion_classes(measured).value == lesions


@pytest.mark.parametrize("kind", KINDS)
def test_metastases_of_every_kind_of_phantom_are_lesions(tmp_path: Path, kind: str) -> None:
    make_phantom(tmp_path / "data", cases=6, seed=3, kind=kind, threads=1)
    measured = measure_fingerprint(read_dataset(tmp_path / "data"), workers=1)
    assert lesion_classes(measured).value == ("metastasis",)
