"""Predictions into one folder share the cases: each is predicted once, and what a dead process left is done."""

import shutil
import threading
from pathlib import Path

import pytest

from autoseg.dataset.case import Case
from autoseg.run_folder.lock_holder import COUNT
from inference.shared_output import FOLDER, LeftToOthers, sharing

CASES = [Case(f"case_{number}", (Path(f"/data/{number}.nii.gz"),)) for number in range(6)]
PATIENCE = 1.0


def predict(output: Path, job: str, done: list[str], *, cases: list[Case] = CASES, begin=lambda: None) -> None:
    """Stand-in for a prediction: claims each case, and writes down that it did it."""
    with sharing(output, job, patience=PATIENCE) as shared:
        begin()
        others = []
        for case in cases:
            try:
                shared.claim(case)
            except LeftToOthers:
                others.append(case)
                continue
            with shared.writing(case):
                (output / case.name).write_text(job)
            done.append(case.name)
            shared.finish(case)
            shared.publish()
        for left in shared.left_behind(others):
            for case in left:
                shared.claim(case)
                done.append(case.name)
                shared.finish(case)
            shared.publish()


def test_predictions_at_the_same_time_do_each_case_once_and_leave_nothing_behind(tmp_path):
    both, done = threading.Barrier(2), list[str]()
    threads = [threading.Thread(target=predict, args=(tmp_path, "a", done), kwargs={"begin": both.wait}) for _ in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(done) == [case.name for case in CASES]
    assert {path.name for path in tmp_path.iterdir()} == set(done)


def test_a_prediction_alone_replaces_what_an_earlier_one_made(tmp_path):
    for _ in range(2):
        predict(tmp_path, "a", done := [])
        assert len(done) == len(CASES)


@pytest.mark.parametrize(("job", "again"), [("a", 0), ("other models", 6)])
def test_who_comes_later_leaves_what_was_predicted_with_the_same_models(tmp_path, job, again):
    with sharing(tmp_path, "a", patience=PATIENCE) as first:
        for case in CASES:
            first.claim(case)
            first.finish(case)
        first.publish()
        predict(tmp_path, job, done := [])
        assert len(done) == again


def test_a_case_whose_rows_are_not_written_yet_stays_claimed(tmp_path):
    with sharing(tmp_path, "a", patience=PATIENCE) as first, sharing(tmp_path, "a", patience=PATIENCE) as second:
        first.claim(CASES[0])
        first.finish(CASES[0])
        assert not second.is_done(CASES[0])
        with pytest.raises(LeftToOthers):
            second.claim(CASES[0])
        first.publish()
        assert second.is_done(CASES[0])
        with pytest.raises(LeftToOthers):
            second.claim(CASES[0])


def test_a_case_of_a_process_that_died_on_another_machine_is_done(tmp_path):
    def die_elsewhere() -> None:
        holder = tmp_path / FOLDER / "cases" / f".{CASES[2].name}.held" / f"{'0' * 8}.1.1.{'0' * 8}"
        holder.mkdir(parents=True)
        (holder / COUNT).write_text(f"{0:020d}\nprocess 1 on other\nworking\n")

    predict(tmp_path, "a", done := [], begin=die_elsewhere)
    assert len(done) == 6 and done[-1] == CASES[2].name
    assert not (tmp_path / FOLDER).exists()


def test_what_was_done_with_a_process_that_died_elsewhere_is_not_taken_for_done(tmp_path):
    with sharing(tmp_path, "a", patience=PATIENCE) as first:
        first.claim(CASES[0])
        first.finish(CASES[0])
        first.publish()
        shutil.copytree(tmp_path / FOLDER, tmp_path / "kept")
    (tmp_path / "kept").rename(tmp_path / FOLDER)
    for lock in (tmp_path / FOLDER).glob(".taking_part_*"):
        for holder in lock.iterdir():
            holder.rename(lock / f"{'0' * 8}.1.1.{'0' * 8}")
    predict(tmp_path, "a", done := [])
    assert len(done) == 6
