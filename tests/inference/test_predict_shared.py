"""Several predictions into one folder, and parts of one, make what a single prediction makes."""

import threading

import pytest

from autoseg.dataset.case import Case
from autoseg.image.writing.codes import COLUMNS
from inference.measurements.table import read_lines
from inference.shared_output import sharing
from inference.writers import OutputFormat
from tests.inference.bright_run import predict, run, voxels, write

__all__ = ["run"]


@pytest.fixture
def cases(tmp_path):
    return [Case(f"case_{n}", (write(tmp_path / "in" / f"case_{n}.nii.gz", voxels(n)),)) for n in range(4)]


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix == ".gz"}


def rows(folder):
    return sorted((line.case, line.class_name, line.voxels) for line in read_lines(folder))


def test_two_predictions_share_the_cases_and_write_each_once(run, cases, tmp_path):
    predict(run, cases, tmp_path / "alone")
    together, written, said = tmp_path / "together", list[str](), list[str]()

    def one():
        problems, told = predict(run, cases, together, wrote=lambda file: written.append(file.case))
        said.append(told)
        assert problems == ()

    # somebody who takes part from the beginning to the end, so that both know of each other
    with sharing(together, "another job"):
        threads = [threading.Thread(target=one) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=120)
    assert sorted(name for name in written if name) == [case.name for case in cases]
    assert files(together) == files(tmp_path / "alone") and rows(together) == rows(tmp_path / "alone")
    assert not [path.name for path in together.iterdir() if path.name.startswith(".")]
    assert any("are left to other processes that predict into the same folder" in told for told in said)


def test_parts_together_are_the_whole(run, cases, tmp_path):
    predict(run, cases, tmp_path / "alone")
    for number, count in ((1, 1), (2, 1), (0, 2)):
        _, told = predict(run, cases, tmp_path / "parts", part=(number, 3))
        assert f"Part {number + 1} of 3: {count} of 4 cases." in told
    assert files(tmp_path / "parts") == files(tmp_path / "alone") and rows(tmp_path / "parts") == rows(
        tmp_path / "alone"
    )


def test_a_part_without_cases_ends_well(run, cases, tmp_path):
    problems, told = predict(run, cases[:1], tmp_path / "out", part=(4, 5))
    assert problems == () and "Part 5 of 5: 0 of 1 cases." in told


def again(run, cases, output, **options):
    """Names of the cases that a second command predicts, and what it could not predict, while somebody takes part."""
    written = []
    problems, _ = predict(run, cases, output, wrote=lambda file: written.append(file.case), **options)
    return sorted({name for name in written if name}), problems


def remove_rows(folder, case):
    table = folder / "measurements.csv"
    table.write_text("".join(line for line in table.read_text().splitlines(True) if not line.startswith(f"{case},")))


@pytest.mark.parametrize(
    "remove",
    [
        lambda folder: (folder / "case_1.nii.gz").unlink(),
        lambda folder: (folder / "preview" / "case_1.png").unlink(),
        lambda folder: (folder / "members" / "3d_0" / "case_1.nii.gz").unlink(),
        lambda folder: next((folder / "probabilities" / "case_1").iterdir()).unlink(),
        lambda folder: remove_rows(folder, "case_1"),
    ],
    ids=["label map", "preview", "member", "probability", "rows"],
)
def test_what_a_person_removes_of_a_case_is_made_again_by_the_next_command(run, cases, tmp_path, remove):
    together, options = tmp_path / "together", {"preview": True, "save_members": True, "save_probabilities": True}
    with sharing(together, "another job"):
        assert again(run, cases[:2], together, **options) == (["case_0", "case_1"], ())
        before = {path: path.read_bytes() for path in together.rglob("*1*.nii.gz")} | {"rows": rows(together)}
        assert again(run, cases[:2], together, **options) == ([], ())
        remove(together)
        assert again(run, cases[:2], together, **options) == (["case_1"], ())
        after = {path: path.read_bytes() for path in together.rglob("*1*.nii.gz")} | {"rows": rows(together)}
        assert after == before and (together / "preview" / "case_1.png").exists()


def test_a_table_that_is_full_makes_no_case_twice(run, cases, tmp_path, monkeypatch):
    monkeypatch.setattr("inference.case_table.most_rows", lambda _: 1)
    together = tmp_path / "together"
    with sharing(together, "another job"):
        assert again(run, cases[:2], together)[0] == ["case_0", "case_1"]
        assert len(rows(together)) == 1
        assert again(run, cases[:2], together) == ([], ())


def table_of_codes(path, meaning):
    cells = ("bright", "SCT", "123037004", "Anatomical Structure", "SCT", "10200004", meaning, "#E69F00")
    path.write_text(f"{','.join(COLUMNS)}\n{','.join(cells)}\n")
    return OutputFormat("seg.nrrd", codes=path)


def train_again(run):
    (run.weights("3d", 0)).write_bytes(b"other weights")
    finished = run.finished("3d", 0)
    finished.write_text(finished.read_text().replace('"seconds_training": 1.0', '"seconds_training": 2.0'))


def measure_again(run):
    run.fingerprint.write_text(run.fingerprint.read_text() + "\n")


@pytest.mark.parametrize(
    ("change", "options"),
    [
        (lambda run, folder: table_of_codes(folder / "codes.csv", "Hepar"), {}),
        (lambda run, folder: train_again(run), {}),
        (lambda run, folder: measure_again(run), {}),
        (lambda run, folder: None, {"preview": True}),
        (lambda run, folder: None, {"save_members": True}),
        (lambda run, folder: None, {"folds": (0,)}),
        (lambda run, folder: None, {"mirror": False}),
    ],
    ids=["table of codes", "training", "fingerprint", "preview", "members", "folds", "mirror"],
)
def test_other_inputs_than_those_of_another_command_are_refused(run, cases, tmp_path, change, options):
    together, wanted = tmp_path / "together", table_of_codes(tmp_path / "codes.csv", "Liver")
    with sharing(together, "another job"):
        assert again(run, cases[:1], together, output_format=wanted) == (["case_0"], ())
        change(run, tmp_path)
        names, problems = again(run, cases[:1], together, output_format=wanted, **options)
        assert names == [] and "another command predicts it" in problems[0]


def test_a_table_of_codes_is_known_by_what_it_says_wherever_it_lies(run, cases, tmp_path):
    together = tmp_path / "together"
    with sharing(together, "another job"):
        for name in ("one.csv", "other.csv"):
            names, problems = again(run, cases[:1], together, output_format=table_of_codes(tmp_path / name, "Liver"))
            assert problems == () and (names == ["case_0"]) == (name == "one.csv")
