"""What is said of a person's own folds: what autoseg's own folds never have."""

from pathlib import Path

from autoseg.dataset.case import Case, Dataset
from autoseg.image.labels import Labels
from autoseg.names import NAMES_TOLD, listed
from autoseg.run_folder.split_notes import notes_on_splits
from autoseg.run_folder.splits import Split, read_splits, write_splits

PATIENTS = {"a": "p", "b": "p", "c": "q", "d": None}


def dataset() -> Dataset:
    """Four cases of three patients; d has no named patient."""
    labels = Labels(values=(0, 1), names=("background", "lesion"))
    cases = [
        Case(name=name, images=(Path(f"{name}.nii"),), label=Path(name), patient=p, strata={})
        for name, p in PATIENTS.items()
    ]
    return Dataset(name="test", layout="table", channels=("T1",), ct=(False,), labels=labels, cases=tuple(cases))


def test_folds_that_validate_each_case_once_have_no_notes() -> None:
    splits = [Split(train=("a", "b"), val=("c", "d")), Split(train=("c", "d"), val=("a", "b"))]
    assert notes_on_splits(splits, dataset()) == ()


def test_cases_left_out_of_folds_or_of_validation_and_a_single_fold_are_said() -> None:
    unused, unseen, single = notes_on_splits([Split(train=("a", "b"), val=("c",))], dataset())
    assert "not used: d" in unused
    assert "not part of the results: a, b" in unseen
    assert "one fold" in single


def test_an_allowed_overlap_is_said_with_its_fold_and_cases() -> None:
    splits = [
        Split(train=("a", "c"), val=("b", "d"), allow_overlap=True),
        Split(train=("b", "d"), val=("a", "c"), allow_overlap=True),
    ]
    first, second = notes_on_splits(splits, dataset())
    assert "fold 0" in first
    assert first.endswith("too favourable: b")
    assert "fold 1" in second
    assert second.endswith("too favourable: a")


def test_of_many_names_the_first_are_told_and_the_others_counted() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed(str(i) for i in range(NAMES_TOLD + 3)).endswith("9 and 3 more")


def test_a_file_of_folds_has_the_field_only_where_it_is_set(tmp_path: Path) -> None:
    splits = (Split(train=("a",), val=("b",)), Split(train=("b",), val=("a",), allow_overlap=True))
    write_splits(tmp_path / "splits.json", splits)
    assert (tmp_path / "splits.json").read_text(encoding="utf-8").count("allow_overlap") == 1
    assert read_splits(tmp_path / "splits.json") == splits
