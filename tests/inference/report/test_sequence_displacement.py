"""What the report says of sequences that lie apart."""

from autoseg.dataset.fingerprint import Displacement, Fingerprint
from inference.report.sequence_displacement import sequences_apart
from tests.planner.fingerprints import fingerprint

Vector = tuple[float, float, float]


def apart(
    mm: Vector | None, degrees: Vector | None = None, *, own_grid: bool = False, channel: str = "T2"
) -> Displacement:
    return Displacement(channel=channel, reference="T1", own_grid=own_grid, mm=mm, degrees=degrees)


def cases(*displacements: tuple[Displacement, ...]) -> Fingerprint:
    measured = fingerprint([(4, 1, 1)] * len(displacements), [(14, 90, 90)] * len(displacements), name="spine")
    found = zip(measured.cases, displacements, strict=True)
    return measured.changed(cases=tuple(case.changed(displacements=d) for case, d in found))


def test_distances_are_told_by_grid_and_far_cases_by_name() -> None:
    measured = cases(
        (apart((0, 0.3, 0.4)),),
        (apart((0, 1.0, 0)),),
        (apart(None),),
        (apart((0, 3, 4), (6, 0, 0), own_grid=True), apart((1, 0, 0), channel="STIR")),
    )
    assert sequences_apart(measured) == {
        "T2 against T1": "on one grid in 3 cases: 0.8 mm (0.5–1.0) apart, as edges tell in 2 of them; "
        "on grids of their own, one resampled in 1 case: 5.0 mm and 6.0 degrees apart; "
        "over 2 mm or 2 degrees in 1 case: spine_3 5.0 mm and 6.0 degrees",
        "STIR against T1": "on one grid in 1 case: 1.0 mm apart",
    }


def test_where_edges_never_tell_that_is_said_and_where_nothing_was_measured_nothing() -> None:
    assert sequences_apart(cases((apart(None),))) == {
        "T2 against T1": "on one grid in 1 case: edges cannot tell how far apart"
    }
    assert sequences_apart(cases((), ())) == {}
