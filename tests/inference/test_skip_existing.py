"""Which cases of an interrupted prediction are left to do."""

import pytest

from autoseg.dataset.case import Case
from inference.outputs import further_files, member_file
from inference.skip_existing import cases_done, left_to_do
from tests.inference.bright_run import LABELS

CASES = [Case(name, ()) for name in "ab"]


@pytest.mark.parametrize("lacking", ["nothing", "label map", "rows", "member", "preview", "probabilities"])
def test_a_case_is_done_where_all_is_there_that_is_asked_for(tmp_path, lacking) -> None:
    targets = [tmp_path / f"{case.name}.nii.gz" for case in CASES]
    beside = [
        (member_file(c.name, t, "", "3d_1"), *further_files(c.name, t, "", preview=True, probabilities=LABELS))
        for c, t in zip(CASES, targets, strict=True)
    ]
    files = {"label map": targets[0], "member": beside[0][0], "preview": beside[0][1]}
    (tmp_path / "probabilities" / "a").mkdir(parents=True)
    (tmp_path / "probabilities" / "a" / "label_0.nii.gz").touch()
    files["probabilities"] = tmp_path / "probabilities" / "a" / "label_500.nii.gz"
    for what, file in files.items():
        if what != lacking:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    measured = set() if lacking == "rows" else {"a"}
    done = cases_done(CASES, targets, beside, measured)
    assert done == ({"a"} if lacking == "nothing" else set())
    left, files_left = left_to_do(CASES, targets, done)
    assert len(left) == len(files_left) == len(CASES) - len(done) and left[-1].name == "b"
    plain = cases_done(CASES, targets, [(), ()], measured)
    assert plain == (set() if lacking in ("label map", "rows") else {"a"}), "what is not asked for need not be there"
