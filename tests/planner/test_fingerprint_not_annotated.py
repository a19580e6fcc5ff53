"""What is planned from cases in which some class was not looked for."""

from pathlib import Path

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.dataset.load import load_case
from planner.additions.lesion_classes import pieces_of
from planner.additions.mirroring import sided_classes
from planner.additions.region import learn_region
from planner.budget.network_candidates import coarsest_spacing
from planner.fingerprint import measure_case
from tests.planner.additions.test_region import measured
from tests.planner.fingerprints import fingerprint
from tests.planner.structures import with_structures
from tests.planner.test_fingerprint import LABELS, image_and_label, write_case


def test_a_class_that_nobody_looked_for_is_not_measured(tmp_path: Path) -> None:
    image, label = image_and_label()
    label[label == 200] = 0
    loaded = load_case(write_case(tmp_path, "a", [image], label), LABELS, "canonical")
    box = tuple(slice(0, n) for n in label.shape)
    whole = measure_case("a", loaded, box, LABELS)
    assert whole.classes["lesion"].volume_mm3 == 0 and whole.annotated == "all"
    partly = measure_case("a", loaded, box, LABELS, ("organ",))
    assert set(partly.classes) == {"organ"} and partly.classes["organ"] == whole.classes["organ"]
    assert [partly.is_known(name) for name in LABELS.foreground] == [name == "organ" for name in LABELS.foreground]
    assert type(whole).model_validate_json(partly.model_dump_json()) == partly


def without_some(known: Fingerprint, name: str) -> Fingerprint:
    """The fingerprint with further cases in which nobody looked for a class."""
    others = tuple(one for one in known.labels.foreground if one != name)
    more = tuple(
        case.changed(
            case=f"{case.case}_partly",
            classes={one: found for one, found in case.classes.items() if one != name},
            annotated=others,
        )
        for case in known.cases
    )
    return known.changed(cases=(*known.cases, *more))


def test_such_cases_are_no_cases_without_the_class() -> None:
    volumes = {"organ": [50_000.0], "lesion": [900.0, 500.0, 70.0]}
    known = with_structures(fingerprint([(1.0,) * 3] * 3, [(60, 70, 80)] * 3), volumes, {"lesion": 0.9})
    partly = without_some(known, "lesion")
    assert pieces_of(partly, "lesion") == pieces_of(known, "lesion")
    assert sided_classes(partly) == sided_classes(known) == ("lesion",)
    assert coarsest_spacing(partly) == coarsest_spacing(known) > 0
    # the same cases as ones without the class are other ones
    empty = tuple(case.changed(annotated="all", classes=case.classes) for case in partly.cases)
    assert pieces_of(partly.changed(cases=empty), "lesion") != pieces_of(known, "lesion")


def test_no_region_is_learned_where_foreground_may_reach_further() -> None:
    whole = measured()
    name = whole.labels.names[1]
    decision = learn_region(without_some(whole, name), ())
    assert learn_region(whole, ()).value is not None and decision.value is None
    assert f"not known in the {len(whole.cases)} cases in which not all classes were annotated" in decision.reason
