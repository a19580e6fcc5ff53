"""Parts of many cases make what a single prediction makes; what is predicted is not predicted again."""

import pytest

from autoseg.dataset.case import Case
from inference.lasting_marks import FOLDER, forget, lasting_cases
from inference.part_of_many import PartOfMany
from inference.shared_output import sharing
from tests.inference.bright_run import predict, run, voxels, write

__all__ = ["run"]

DIGEST, OTHER = "a" * 32, "b" * 32


@pytest.fixture
def cases(tmp_path):
    return [Case(f"case_{n}", (write(tmp_path / "in" / f"case_{n}.nii.gz", voxels(n)),)) for n in range(5)]


def part(run, cases, output, number, parts=3, made_from=DIGEST, to_help=(), **options):
    """Predict a part; return the names of the cases that were predicted, in order, and what was said."""
    written = list[str]()
    of_many = PartOfMany(made_from, lambda: to_help)
    problems, told = predict(
        run,
        cases,
        output,
        part=(number, parts),
        of_many=of_many,
        wrote=lambda file: written.append(file.case),
        **options,
    )
    assert problems == ()
    return list(dict.fromkeys(filter(None, written))), told


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix == ".gz"}


def test_parts_in_turn_are_the_whole_and_none_is_done_twice(run, cases, tmp_path):
    predict(run, cases, tmp_path / "alone")
    output = tmp_path / "parts"
    assert part(run, cases, output, 1)[0] == ["case_1", "case_4"]
    # begun again, as after a kill at its very end
    assert part(run, cases, output, 1) == ([], part(run, cases, output, 1)[1])
    assert part(run, cases, output, 0)[0] == ["case_0", "case_3"]
    assert lasting_cases(output, DIGEST) == {"case_0", "case_1", "case_3", "case_4"}
    written, told = part(run, cases, output, 0, parts=1)
    assert written == ["case_2"] and "4 of 5 are predicted already and left as they are." in told
    assert files(output) == files(tmp_path / "alone") and len(files(output)) == 5


def test_with_other_models_everything_is_predicted_anew(run, cases, tmp_path):
    part(run, cases, tmp_path, 0)
    assert part(run, cases, tmp_path, 0, made_from=OTHER)[0] == ["case_0", "case_3"]
    assert lasting_cases(tmp_path, DIGEST) == frozenset() and len(lasting_cases(tmp_path, OTHER)) == 2
    # the same digest, but a fold was trained anew
    finished = run.finished("3d", 0)
    finished.write_text(finished.read_text(encoding="utf-8") + " ", encoding="utf-8")
    assert part(run, cases, tmp_path, 0, made_from=OTHER)[0] == ["case_0", "case_3"]


def test_what_was_removed_or_forgotten_is_predicted_again(run, cases, tmp_path):
    part(run, cases, tmp_path, 0, parts=1)
    (tmp_path / "case_3.nii.gz").unlink()
    forget(tmp_path, ["case_1", "no case"])
    table = tmp_path / "measurements.csv"
    rows = table.read_text(encoding="utf-8").splitlines(keepends=True)
    table.write_text("".join(row for row in rows if not row.startswith("case_4,")), encoding="utf-8")
    assert part(run, cases, tmp_path, 0, parts=1)[0] == ["case_1", "case_3", "case_4"]


def test_a_plain_prediction_begins_anew_and_one_that_skips_keeps_what_is_done(run, cases, tmp_path):
    part(run, cases, tmp_path, 0)
    written = list[str]()
    predict(run, cases, tmp_path, part=(1, 3), skip_existing=True, wrote=lambda file: written.append(file.case))
    assert set(filter(None, written)) == {"case_1", "case_4"}
    assert lasting_cases(tmp_path, DIGEST) == {"case_0", "case_1", "case_3", "case_4"}
    # with other options its predictions are others
    predict(run, cases[:2], tmp_path, mirror=False, skip_existing=True)
    assert lasting_cases(tmp_path, DIGEST) == frozenset()
    part(run, cases, tmp_path, 0)
    predict(run, cases[:1], tmp_path)
    assert not (tmp_path / FOLDER).exists()


def test_a_part_that_is_done_helps_those_that_run(run, cases, tmp_path):
    names = ["case_4", "case_1", "no such case"]
    assert part(run, cases, tmp_path, 0, to_help=names)[0] == ["case_0", "case_3", "case_4", "case_1"]
    assert part(run, cases, tmp_path, 1)[0] == []


def test_what_cannot_be_predicted_is_told_by_the_part_that_has_it(run, cases, tmp_path):
    cases[1].images[0].write_bytes(b"nothing")
    # `part` checks that this one tells of no problem
    assert part(run, cases, tmp_path, 0, to_help=["case_1"])[0] == ["case_0", "case_3"]
    problems, _ = predict(run, cases, tmp_path, part=(1, 3), of_many=PartOfMany(DIGEST, tuple))
    assert len(problems) == 1 and problems[0].startswith("case_1: ")
    assert lasting_cases(tmp_path, DIGEST) == {"case_0", "case_3", "case_4"}


def test_a_part_waits_for_its_cases_that_others_are_at(tmp_path):
    case = Case("case", (tmp_path / "image.nii.gz",))
    with sharing(tmp_path, "a", patience=1.0) as first, sharing(tmp_path, "a", patience=1.0) as second:
        first.claim(case)
        # a plain prediction leaves it to a process that lives
        assert list(second.left_behind([case])) == []
        behind = second.left_behind([case], until_done=True)
        first.close()
        assert next(behind) == [case]
        second.claim(case)
        second.finish(case)
        second.publish()
        assert list(behind) == []
