"""Messages about cases that share a file or a name stay short, however many there are."""

from pathlib import Path

from autoseg.dataset.case import Case
from autoseg.dataset.listing import Found, checked_cases


def test_of_many_alike_cases_five_are_named() -> None:
    found = [Found(Case(f"case_{i}", (Path("a.nii.gz"),), Path(f"{i}.nii.gz")), f"line {i}") for i in range(1_000)]
    problems = [problem for case in checked_cases(found) for problem in case.problems]
    assert len(problems) == 999
    named = "case_0, case_1, case_2, case_3, case_4, 995 more"
    assert set(problems) == {f"duplicate case: {named} have the same image file (line 999)"}


def test_of_few_all_are_named() -> None:
    found = [Found(Case("a", (Path(f"{i}.nii.gz"),), Path(f"l{i}.nii.gz")), f"line {i}") for i in range(3)]
    assert checked_cases(found)[2].problems == (
        "duplicate case: found in line 0 and line 1 and line 2; remove or rename all but one",
    )
