"""Folds: every case validated once, patients together, strata spread, the same from the same seed."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from autoseg.dataset.case import Case, Dataset
from autoseg.dataset.fingerprint import Fingerprint
from autoseg.errors import DatasetError, PlanError
from autoseg.image.labels import Labels
from autoseg.run_folder.split_notes import notes_on_classes
from autoseg.run_folder.splits import Split
from planner.splits import check_splits, make_splits, number_of_folds
from tests.example_fingerprint import example_case_fingerprint, example_fingerprint, one_structure

LABELS = Labels(values=(0, 1), names=("background", "lesion"))


def dataset_of(cases: Sequence[Case]) -> Dataset:
    """A data set of the cases."""
    return Dataset(
        name="test", layout="table", channels=("T1", "T2"), ct=(False,) * 2, labels=LABELS, cases=tuple(cases)
    )


def case(name: str, *, patient: str | None = None, strata: dict[str, str] | None = None, second: bool = True) -> Case:
    """A case; `second` says whether its second sequence was acquired."""
    images = (Path(f"{name}_0.nii.gz"), Path(f"{name}_1.nii.gz") if second else None)
    return Case(name=name, images=images, label=Path(f"{name}.nii.gz"), patient=patient, strata=strata or {})


def measured(cases: Sequence[Case], volumes: Sequence[float]) -> Fingerprint:
    """A fingerprint of the cases with these foreground volumes."""
    return example_fingerprint(
        [
            example_case_fingerprint(c.name, present=c.present, classes={"lesion": one_structure(volume)})
            for c, volume in zip(cases, volumes, strict=True)
        ]
    )


def split(cases: Sequence[Case], volumes: Sequence[float] | None = None, **options: int) -> tuple[Split, ...]:
    """Make the folds of the cases."""
    options = {"seed": 7, **options}
    return make_splits(dataset_of(cases), measured(cases, volumes or [1.0] * len(cases)), **options)


@pytest.mark.parametrize("count", [2, 3, 5, 7, 20, 43])
def test_every_case_is_validated_once_and_trained_on_otherwise(count: int) -> None:
    cases = [case(f"c{i}") for i in range(count)]
    splits = split(cases)
    names = sorted(c.name for c in cases)
    assert len(splits) == min(5, count)
    assert sorted(name for s in splits for name in s.val) == names
    assert all(sorted(s.train + s.val) == names for s in splits)
    sizes = [len(s.val) for s in splits]
    assert max(sizes) - min(sizes) <= 1
    check_splits(splits, dataset_of(cases))


@pytest.mark.parametrize("seed", [2, 4, 26])
def test_every_fold_learns_from_cases_that_know_each_class_where_patients_allow(seed: int) -> None:
    labels = Labels(values=(0, 1, 2, 3), names=("background", "lesion", "organ", "rare"))
    annotated = [("lesion", "organ"), ("lesion",)] * 9 + [("lesion", "rare"), ("organ", "rare")]
    cases = [replace(case(f"c{i:02}"), annotated=known) for i, known in enumerate(annotated)]
    dataset = replace(dataset_of(cases), labels=labels)
    volumes = np.random.default_rng(seed).lognormal(size=len(cases)).tolist()
    splits = make_splits(dataset, measured(cases, volumes), seed=seed)
    assert notes_on_classes(splits, dataset) == ()
    # the classes that were looked for are stratified like a column
    counts = [sum(annotated[int(name[1:])] == ("lesion",) for name in s.val) for s in splits]
    assert max(counts) - min(counts) <= 1
    # what one patient alone knows is lacking where this patient is validated on
    alone = [replace(one, annotated=("lesion", "organ")) if one.name == "c19" else one for one in cases]
    lacking = replace(dataset, cases=tuple(alone))
    (note,) = notes_on_classes(make_splits(lacking, measured(alone, volumes), seed=seed), lacking)
    assert re.search(r"nobody looked for rare in any of its 1\d training cases, so this fold learns it as absent", note)


def test_the_seed_decides() -> None:
    cases = [case(f"c{i}") for i in range(30)]
    assert split(cases, seed=1) == split(cases, seed=1)
    assert split(cases, seed=1) != split(cases, seed=2)


def test_a_patient_stays_in_one_fold() -> None:
    rng = np.random.default_rng(0)
    cases = [case(f"c{i}", patient=f"p{rng.integers(12)}") for i in range(60)]
    splits = split(cases, rng.lognormal(size=60).tolist())
    patients = [{c.patient for c in cases if c.name in s.val} for s in splits]
    assert sum(map(len, patients)) == len(set().union(*patients)) == 12
    check_splits(splits, dataset_of(cases))


def test_a_patient_named_like_a_case_is_another() -> None:
    cases = [case("a", patient="b"), case("b"), case("c", patient="b")]
    assert number_of_folds(dataset_of(cases)).value == 2


def test_strata_and_sequences_are_spread_over_the_folds() -> None:
    cases = [case(f"l{i}", strata={"lesion_type": "lytic"}, second=i % 2 == 0) for i in range(20)]
    cases += [case(f"s{i}", strata={"lesion_type": "sclerotic"}) for i in range(10)]
    for s in split(cases):
        of_fold = [c for c in cases if c.name in s.val]
        kinds = Counter((c.strata["lesion_type"], c.present[1]) for c in of_fold)
        assert kinds == {("lytic", True): 2, ("lytic", False): 2, ("sclerotic", True): 2}


def test_foreground_volume_is_spread_over_the_folds() -> None:
    cases = [case(f"c{i}") for i in range(40)]
    order = np.random.default_rng(1).permutation(40)
    volumes = [float(v) for v in order]
    for s in split(cases, volumes):
        quarters = Counter(int(volumes[int(name[1:])]) // 10 for name in s.val)
        assert quarters == {0: 2, 1: 2, 2: 2, 3: 2}


def test_rare_kinds_do_not_stop_the_split() -> None:
    cases = [case(f"c{i}", strata={"site": f"s{i}"}, second=i % 3 > 0) for i in range(11)]
    splits = split(cases)
    assert sorted(len(s.val) for s in splits) == [2, 2, 2, 2, 3]


def test_folds_stay_of_similar_size_with_many_kinds() -> None:
    rng = np.random.default_rng(2)
    for _ in range(10):
        count = int(rng.integers(12, 60))
        cases = [case(f"c{i}", strata={"k": str(rng.integers(4))}, second=bool(rng.integers(2))) for i in range(count)]
        sizes = [len(s.val) for s in split(cases, rng.lognormal(size=count).tolist())]
        assert max(sizes) - min(sizes) <= 2


def test_fewer_patients_than_folds() -> None:
    cases = [case(f"c{i}", patient=f"p{i % 3}") for i in range(12)]
    decision = number_of_folds(dataset_of(cases))
    assert decision.value == len(split(cases)) == 3
    assert "3 patients" in decision.reason
    assert number_of_folds(dataset_of([case(f"c{i}") for i in range(9)])).value == 5


def test_one_patient_is_an_error() -> None:
    for cases in ([case("a")], [case("a", patient="p"), case("b", patient="p")]):
        with pytest.raises(DatasetError, match="two patients"):
            split(cases)
    with pytest.raises(PlanError, match="1 folds"):
        split([case("a"), case("b")], folds=1)


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ([Split(train=("a", "b"), val=("d",))], r"fold 0: patients with cases in both train and val: p"),
        (
            [Split(train=("c",), val=("a",)), Split(train=("c",), val=("d",))],
            r"patient p is validated on in folds 0 and 1",
        ),
        ([Split(train=("a", "z"), val=("b",))], r"fold 0: train names cases that the data set does not have: z"),
        ([Split(train=("a", "b"), val=("b",))], r"fold 0: cases in both train and val: b"),
        ([Split(train=("a", "a"), val=("b",))], r"train names a case more than once: a"),
        ([Split(train=("a",), val=("b",)), Split(train=("c",), val=())], r"fold 1: val is empty"),
        (
            [Split(train=("a",), val=("b",)), Split(train=("c",), val=("b",))],
            r"case b is validated on in folds 0 and 1",
        ),
        ([], r"there are no folds"),
    ],
)
def test_impossible_folds_are_refused(splits: list[Split], message: str) -> None:
    dataset = dataset_of([case("a", patient="p"), case("b"), case("c"), case("d", patient="p")])
    with pytest.raises(PlanError, match=message):
        check_splits(splits, dataset)


def test_every_problem_is_named_at_once() -> None:
    dataset = dataset_of([case("a"), case("b")])
    with pytest.raises(PlanError) as caught:
        check_splits([Split(train=("x",), val=("b",)), Split(train=("a",), val=("y",))], dataset)
    assert "x" in str(caught.value)
    assert "y" in str(caught.value)
    assert "delete it" in str(caught.value)


def test_a_users_single_fold_is_allowed() -> None:
    check_splits([Split(train=("a", "b"), val=("c",))], dataset_of([case("a"), case("b"), case("c")]))


def test_a_patient_or_a_case_in_both_parts_is_allowed_where_the_fold_says_so() -> None:
    dataset = dataset_of([case("a", patient="p"), case("b"), case("c"), case("d", patient="p")])
    shared = Split(train=("a", "b"), val=("d", "b"))
    with pytest.raises(PlanError, match="allow_overlap"):
        check_splits([shared], dataset)
    check_splits([shared.changed(allow_overlap=True)], dataset)
    # each scan of the patient is validated on once, in a fold of its own
    check_splits([shared.changed(allow_overlap=True), Split(train=("b",), val=("a",), allow_overlap=True)], dataset)


def test_no_case_is_validated_on_twice_even_where_overlap_is_allowed() -> None:
    twice = Split(train=("a", "b"), val=("b",), allow_overlap=True)
    with pytest.raises(PlanError, match="case b is validated on in folds 0 and 1"):
        check_splits([twice, twice], dataset_of([case("a"), case("b")]))
