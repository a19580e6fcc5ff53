"""Predictions into one folder share the cases: each is predicted once, and what a dead process left is done."""

import json
import os
import shutil
import threading
from pathlib import Path

import pytest

from autoseg.dataset.case import Case
from autoseg.errors import InputError
from autoseg.run_folder.lock_holder import COUNT, Watch
from inference import lasting_marks
from inference import shared_output as module
from inference.lasting_marks import Lasting, done_folder
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


def test_who_comes_later_leaves_what_was_predicted_with_the_same_models(tmp_path):
    with sharing(tmp_path, "a", patience=PATIENCE) as first:
        for case in CASES:
            first.claim(case)
            first.finish(case)
        first.publish()
        predict(tmp_path, "a", done := [])
        assert done == []


@pytest.mark.parametrize("published", [True, False])
def test_a_case_that_is_predicted_in_another_way_is_refused(tmp_path, published):
    other_image = Case(CASES[0].name, (Path("/data/other.nii.gz"),))
    with sharing(tmp_path, "a", patience=PATIENCE) as first:
        first.claim(CASES[0])
        first.finish(CASES[0])
        if published:
            first.publish()
        for job, case in (("other models", CASES[0]), ("a", other_image)):
            with sharing(tmp_path, job, patience=PATIENCE) as second:
                # whoever found it claimed before it was known for what does not leave it to the other one either
                assert list(second.left_behind([case])) == [[case]]
                with pytest.raises(InputError, match="case_0: another command predicts it into the same folder"):
                    second.claim(case)
        assert first.is_done(CASES[0]) == published


def test_a_case_that_was_taken_over_does_not_keep_the_others_from_being_told(tmp_path):
    with sharing(tmp_path, "a", patience=PATIENCE) as first, sharing(tmp_path, "a", patience=PATIENCE) as second:
        for case in CASES[:3]:
            first.claim(case)
            first.finish(case)
        (holder,) = (tmp_path / FOLDER / "cases" / f".{CASES[1].name}.held").iterdir()
        shutil.rmtree(holder)
        first.publish()
        assert [second.is_done(case) for case in CASES[:3]] == [True, False, True]
        second.claim(CASES[1])


def test_an_image_may_have_a_path_that_is_no_text(tmp_path):
    case = Case("case", (Path("/data/\udcff.nii.gz"),))
    predict(tmp_path, "a", done := [], cases=[case])
    assert done == ["case"]


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


def test_a_case_of_which_a_person_removes_a_file_is_done_no_more(tmp_path):
    files = [tmp_path / "case_0.nii.gz", tmp_path / "preview" / "case_0.png"]
    with sharing(tmp_path, "a", patience=PATIENCE) as first, sharing(tmp_path, "a", patience=PATIENCE) as second:
        for case, removed in zip(CASES[:2], files, strict=True):
            for file in files:
                file.parent.mkdir(exist_ok=True)
                file.touch()
            first.claim(case)
            first.finish(case, files)
            first.publish()
            assert second.is_done(case)
            removed.unlink()
            assert not second.is_done(case) and list(second.left_behind([case])) == [[case]]
            second.claim(case)
            removed.touch()
            assert not first.is_done(case), "its rows may still wait"
            second.finish(case, files)
            second.publish()
            assert first.is_done(case)


def test_an_image_that_was_replaced_since_another_process_predicted_it_is_refused(tmp_path):
    image = tmp_path / "image.nii.gz"
    image.write_bytes(b"one patient")
    case = Case("case", (image,))
    with sharing(tmp_path, "a", patience=PATIENCE) as first:
        first.claim(case)
        first.finish(case)
        first.publish()
        image.write_bytes(b"another patient")
        with (
            sharing(tmp_path, "a", patience=PATIENCE) as second,
            pytest.raises(InputError, match="from another image"),
        ):
            second.claim(case)


def test_a_mark_that_is_no_mark_counts_for_nothing(tmp_path):
    with sharing(tmp_path, "a", patience=PATIENCE) as shared:
        shared.claim(CASES[0])
        shared.finish(CASES[0])
        shared.publish()
        (mark,) = (tmp_path / FOLDER / "done").rglob(CASES[0].name)
        sound = mark.read_text()
        assert shared.is_done(CASES[0])
        digest = json.loads(sound)[0]
        too_long, too_large = json.dumps([digest, "x" * 300]), sound + " " * lasting_marks.MOST_BYTES
        for text in ("", "[", "[" * 100_000, "[]", '"a"', "{}", "7", too_long, too_large):
            mark.write_text(text)
            assert not shared.is_done(CASES[0])
        mark.rename(tmp_path / "elsewhere")
        (tmp_path / "elsewhere").write_text(sound)
        mark.symlink_to(tmp_path / "elsewhere")
        assert not shared.is_done(CASES[0])
        mark.unlink()
        os.mkfifo(mark)
        # opening it would wait for whoever writes into it
        assert not shared.is_done(CASES[0])


@pytest.mark.parametrize("place", ["", "cases", "done", "of the job"])
def test_a_link_in_the_place_of_a_folder_of_marks_is_refused(tmp_path, place):
    output, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a person's file").write_text("kept")
    linked = done_folder(output / FOLDER, "a") if place == "of the job" else output / FOLDER / place
    linked.parent.mkdir(parents=True)
    linked.symlink_to(elsewhere)
    lasts = Lasting("0" * 32)
    with pytest.raises(InputError, match="is a link"), sharing(output, "a", patience=PATIENCE, lasting=lasts):
        pass
    assert (elsewhere / "a person's file").read_text() == "kept" and len(list(elsewhere.iterdir())) == 1


def test_a_look_at_a_case_that_another_process_has_done_opens_one_file_and_takes_no_lock(tmp_path, monkeypatch):
    cases = [Case(f"case_{number}", (Path(f"/data/{number}.nii.gz"),)) for number in range(50)]
    with sharing(tmp_path, "a", patience=PATIENCE) as first, sharing(tmp_path, "a", patience=PATIENCE) as late:
        for case in cases:
            first.claim(case)
            first.finish(case)
        first.publish()
        opened = []
        real = module.read_small
        monkeypatch.setattr(module, "read_small", lambda path: opened.append(path) or real(path))
        monkeypatch.setattr(module, "locked_if_free", lambda *_, **__: pytest.fail("takes a lock"))
        for case in cases:
            with pytest.raises(LeftToOthers):
                late.claim(case)
        assert len(opened) == len(cases)
        assert list(late.left_behind(cases)) == [] and len(opened) == 2 * len(cases)


def test_marks_are_moved_away_at_once_and_those_of_a_killed_process_are_removed(tmp_path, monkeypatch):
    seen = []
    real = shutil.rmtree

    def look(folder, **options):
        # a hundred thousand marks take longer than the lock may be held: whoever comes meanwhile begins anew
        if Path(folder).name.startswith(lasting_marks.MOVED):
            seen.append(((tmp_path / FOLDER / "done").exists(), (tmp_path / f".{FOLDER}.held").exists()))
        return real(folder, **options)

    (tmp_path / f"{lasting_marks.MOVED}killed" / "done").mkdir(parents=True)
    monkeypatch.setattr(lasting_marks.shutil, "rmtree", look)
    predict(tmp_path, "a", done := [])
    assert len(done) == len(CASES) and seen == [(False, False), (False, False)]
    assert {path.name for path in tmp_path.iterdir()} == set(done)


@pytest.mark.parametrize("name", ["../x", "..", "/x", "a/b"])
def test_a_name_that_leads_to_another_folder_is_refused_before_its_lock_is_made(tmp_path, monkeypatch, name):
    monkeypatch.setattr(module, "locked_if_free", lambda *_, **__: pytest.fail("makes a lock"))
    shared, case = module.SharedOutput(tmp_path / FOLDER, "a", Watch(PATIENCE)), Case(name, ())
    monkeypatch.setattr(module, "read_small", lambda path: pytest.fail("opens a file"))
    assert not shared.is_done(case)
    with pytest.raises(InputError, match="rename the case"):
        shared.claim(case)
    assert list(tmp_path.iterdir()) == []
