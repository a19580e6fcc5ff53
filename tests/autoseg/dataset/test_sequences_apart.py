"""What is told of sequences between which the patient moved."""

from autoseg.dataset.fingerprint import Displacement, same_properties
from autoseg.dataset.sequences_apart import far_apart
from tests.planner.fingerprints import fingerprint


def test_how_many_cases_lie_apart_and_which_one_most() -> None:
    def t2(mm: tuple[float, ...] | None, degrees: tuple[float, ...] | None) -> tuple[Displacement, ...]:
        return (Displacement(channel="T2", reference="T1", own_grid=False, mm=mm, degrees=degrees),)

    measured = fingerprint([(4, 1, 1)] * 5, [(14, 90, 90)] * 5, name="spine")
    found = [t2((0, 0, 5.0), (0, 0, 0)), t2((0, 3, 4), (0, 4, -2.6)), t2((0, 0, 1), (0, 1, 0)), t2(None, None), ()]
    cases = tuple(case.changed(displacements=d) for case, d in zip(measured.cases, found, strict=True))
    assert far_apart(measured.changed(cases=cases)) == (
        "T2 lies more than 2 mm or 2 degrees from T1 in 2 of 4 cases (largest: case spine_1, 5.0 mm and 4.8 degrees); "
        "--align NAME moves the sequences of each case onto one",
    )
    assert far_apart(measured) == () == far_apart(measured.changed(cases=cases[2:]))
    # they are told, and no plan follows from them
    assert same_properties(measured, measured.changed(cases=cases))
