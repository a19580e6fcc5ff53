"""After a stop it is told what exists, and what the same command will do."""

from pathlib import Path

import pytest

from autoseg.commands.cli import make_app
from autoseg.commands.exit_status import run_command
from autoseg.commands.stopped import stopped_message
from autoseg.disk.csv_files import csv_text
from autoseg.run_folder.paths import RunFolder
from inference.measurements.table import COLUMNS


def told(*arguments: object) -> str:
    given = [*map(str, arguments)]
    return stopped_message(make_app(given), given)


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.mark.parametrize("command", ["run", "plan-and-preprocess", "study"])
def test_where_nothing_is_made_the_same_command_begins_at_the_start(tmp_path: Path, command: str) -> None:
    run = tmp_path / "RUN"
    # as it is in the middle of a check
    touch(run / "time_spent.json")
    assert told(command, "data", "-o", run) == (
        f"Stopped. Nothing is made yet in {run}; the same command begins at the start."
    )


def test_what_a_run_holds_is_told(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "RUN")
    touch(run.dataset, run.plan, run.case("3d", "a") / "case.json", run.case("3d", "b") / "case.json")
    touch(run.preprocessed("3d") / ".c.new" / "case.json")
    expected = f"Stopped. {run.path} holds the checked and measured data set, the plan, 2 preprocessed cases"
    goes_on = "; the same command goes on from there."
    assert told("run", "data", "-o", run.path) == expected + goes_on
    touch(run.finished("3d", 0), run.weights("3d", 0), run.weights("3d", 1))
    expected += ", 1 finished fold of 3d, the begun fold 1 of 3d"
    for arguments in (("train", run.path, "--fold", "1"), ("run", "data", "--output", run.path)):
        assert told(*arguments) == expected + goes_on


def test_predictions_are_made_again_unless_asked_otherwise(tmp_path: Path) -> None:
    arguments = ("predict", "RUN", "-i", "images", "-o", tmp_path)
    assert "Nothing is predicted yet" in told(*arguments)
    touch(tmp_path / "a.nii.gz", tmp_path / "b.nii.gz", tmp_path / "labels.json", tmp_path / "labels_itksnap.txt")
    assert "Nothing is predicted yet" in told(*arguments), "of no case the last file is there"
    rows = [{"case": case, "class": name, "voxels": 5} for case in "ab" for name in ("organ", "lesion")]
    text = csv_text(COLUMNS, [[row.get(column, "") for column in COLUMNS] for row in rows])
    (tmp_path / "measurements.csv").write_text(text, encoding="utf-8")
    assert told(*arguments) == (
        f"Stopped. {tmp_path} holds 2 predicted cases; the same command predicts all of them again; "
        "with --skip-existing it goes on with the others."
    )
    assert told(*arguments, "--engine", "ray").endswith("2 predicted cases; the same command goes on with the others.")
    assert told(*arguments, "--skip-existing").endswith("2 predicted cases; the same command goes on with the others.")

    (tmp_path / "measurements.csv").write_text("mine\n", encoding="utf-8")
    assert told(*arguments) == "Stopped. What is finished is kept; the same command goes on from there."


def test_a_result_that_appears_at_the_end_is_not_there(tmp_path: Path) -> None:
    out = tmp_path / "copy"
    assert told("copy", "RUN", "-o", out) == f"Stopped. {out} is as it was; the same command begins at the start."


def test_the_demo_goes_on_in_its_run(tmp_path: Path) -> None:
    touch(tmp_path / "run" / "plan.yaml")
    assert told("demo", "-o", tmp_path).startswith(f"Stopped. {tmp_path / 'run'} holds the plan;")


def test_a_stop_ends_a_command_with_it(tmp_path: Path, monkeypatch, capsys) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("autoseg.dataset.read.read_dataset", interrupted)
    given = ["run", str(tmp_path), "-o", str(tmp_path / "RUN"), "--device", "cpu"]
    assert run_command(make_app(given), given) == 130
    assert "Nothing is made yet" in capsys.readouterr().err
