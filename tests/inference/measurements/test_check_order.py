"""Which cases are to be checked first, and the words in which it is said."""

from inference.measurements.check_order import BORDER, MOST_CASES, UNLIKE, always_there, check_order, in_words
from inference.measurements.table import Line
from tests.example_fingerprint import example_case_fingerprint, example_fingerprint, one_structure


def line(case: str, agreement: float | None, name: str = "lesion", voxels: int = 9, notes=()) -> Line:
    return Line(case, name, voxels, agreement, tuple(notes))


def test_the_least_agreed_class_decides() -> None:
    lines = [line("a", 0.9), line("a", 0.5, "organ"), line("b", 0.41), line("c", 0.95), line("d", None)]
    order = check_order(lines, ())
    assert [one.case for one in order] == ["b", "a", "c"], "of d nothing is known"
    assert order[0].words == ("folds agree 0.41 on lesion",) and order[1].words == ("folds agree 0.50 on organ",)
    assert in_words(order).startswith("Check first: b (folds agree 0.41 on lesion), a (folds agree 0.50 on organ)")


def test_what_is_absent_and_always_was_there_comes_first() -> None:
    lines = [line("a", 0.1), line("b", None, "organ", 0), line("b", 0.9), line("c", 0.9, "lesion", 0)]
    order = check_order(lines, {"organ"})
    assert [one.case for one in order] == ["b", "a", "c"]
    assert order[0].words[0] == "no organ, which every training case has"


def test_of_many_absent_classes_a_few_are_named() -> None:
    names = [f"organ {i}" for i in range(100)]
    (only,) = check_order([line("a", None, name, 0) for name in names], names)
    assert only.words == ("no organ 0, organ 1, organ 2 and 97 more, which every training case has",)


def test_notes_bring_a_case_forward_and_are_told_by_their_kind() -> None:
    lines = [
        line("a", 0.8, notes=[BORDER]),
        line("b", 0.8, notes=[f"{UNLIKE}: spacing along z is 9 mm", f"{UNLIKE}: T2 is absent"]),
        line("c", 0.6),
        line("d", None, notes=[BORDER, f"{UNLIKE}: x"]),
    ]
    order = check_order(lines, ())
    assert [one.case for one in order] == ["d", "a", "b", "c"]
    assert order[2].words == ("folds agree 0.80 on lesion", UNLIKE)
    assert order[0].words == (BORDER, UNLIKE)


def test_at_most_five_are_named_and_none_where_nothing_is_known() -> None:
    order = check_order([line(f"case_{i}", i / 10) for i in range(9)], ())
    assert len(order) == 9 and in_words(order).count("case_") == MOST_CASES
    assert in_words(order[7:]).count("case_") == 2
    assert in_words(check_order([line("a", 0.97)], ())) == "Check first: no case stands out"
    assert in_words(check_order([line("a", None)], ())) is None


def test_always_there_is_what_every_training_case_has() -> None:
    both = {"organ": one_structure(9.0), "lesion": one_structure(9.0)}
    cases = [
        example_case_fingerprint("a", classes=both),
        example_case_fingerprint("b", classes={"organ": both["organ"]}),
    ]
    assert always_there(example_fingerprint(cases)) == {"organ"}
    # nobody looked for lesions in b, so it does not tell that they may be absent
    partly = [cases[0], cases[1].changed(annotated=("organ",))]
    assert always_there(example_fingerprint(partly)) == {"organ", "lesion"}
    alone = example_fingerprint([partly[1]])
    assert always_there(alone) == {"organ"}, "nothing is known of lesions"
