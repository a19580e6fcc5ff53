"""What a RUN folder of a stranger may not do, and what killed processes leave behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from autoseg.commands.guards import (
    existing_run,
    folder_for_results,
    refuse_unsafe_entries,
    require_requested_run,
    require_run_or_empty,
)
from autoseg.errors import InputError, RunFolderError
from autoseg.files import folder_replaced_when_done, replaced_when_done, write_text
from autoseg.plan.plan import write_plan
from autoseg.run_folder.lock import locked
from autoseg.run_folder.paths import RunFolder
from tests.example_plan import example_plan


@pytest.fixture
def run(tmp_path):
    run = RunFolder(tmp_path / "run")
    write_plan(run.plan, example_plan(), {})
    (run.path / "preprocessed" / "3d" / "case").mkdir(parents=True)
    return run


@pytest.fixture
def victim(tmp_path):
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "letter.txt").write_text("mine", encoding="utf-8")
    return tmp_path / "victim"


@pytest.mark.parametrize("place", ["preprocessed/2d", "cross_validation", "preprocessed/3d/case/label.b2nd"])
@pytest.mark.parametrize("open_run", [lambda run: existing_run(run.path), require_run_or_empty])
def test_a_link_that_leads_out_is_refused_by_name(run, victim, place, open_run):
    link = run.path / place
    link.symlink_to(victim)
    with pytest.raises(RunFolderError, match=r"is a link to .*victim.*--follow-links") as refused:
        open_run(run)
    assert str(link.name) in str(refused.value)
    assert [path.name for path in victim.iterdir()] == ["letter.txt"]
    assert existing_run(run.path, follow_links=True).path == run.path
    require_run_or_empty(run, follow_links=True)


def test_a_link_that_stays_inside_and_a_run_that_is_a_link_are_fine(run, tmp_path):
    (run.path / "preprocessed" / "2d").symlink_to("3d")
    (tmp_path / "disk").symlink_to(run.path)
    assert existing_run(tmp_path / "disk").path == tmp_path / "disk"


def test_a_broken_link_to_elsewhere_leads_out_too(run, tmp_path):
    (run.path / "reports").symlink_to(tmp_path / "later")
    with pytest.raises(RunFolderError, match="is a link to"):
        refuse_unsafe_entries(run.path)


@pytest.mark.parametrize("follow_links", [False, True])
def test_what_is_no_file_and_no_folder_is_refused_before_anything_waits_for_it(run, follow_links):
    os.mkfifo(run.path / "preprocessed" / "3d" / "case" / "case.json")
    with pytest.raises(RunFolderError, match=r"case\.json: is neither a file nor a folder"):
        existing_run(run.path, follow_links=follow_links)


KILLED = """
import os, sys
from pathlib import Path
from autoseg.files import folder_replaced_when_done, replaced_when_done
run = Path(sys.argv[1])
with folder_replaced_when_done(run / "folder") as folder, replaced_when_done(run / "file.json"):
    (folder / "half").touch()
    os.kill(os.getpid(), 9)
"""


def test_what_a_killed_process_left_is_removed_by_the_next_command(run):
    subprocess.run([sys.executable, "-c", KILLED, str(run.path)], env={**os.environ, "PYTHONPATH": str(Path.cwd())})
    assert len([path for path in run.path.iterdir() if path.name.startswith(".")]) == 2
    with replaced_when_done(run.path / "kept.json") as written:
        existing_run(run.path)
        assert written.exists(), "its process lives"
    assert [path.name for path in run.path.iterdir() if path.name.startswith(".")] == []


def test_what_a_killed_process_left_in_an_output_folder_is_removed_when_it_is_written_to_again(run, tmp_path):
    subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "out")], env={**os.environ, "PYTHONPATH": str(Path.cwd())}
    )
    assert len(list((tmp_path / "out").iterdir())) == 2
    (tmp_path / "out" / ".mine.txt").write_text("of the user")
    write_text(tmp_path / "out" / "case.json", "{}")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {".mine.txt", "case.json"}


def test_a_planted_link_in_place_of_a_temporary_file_is_never_written_through(run, victim):
    # the former name could be foreseen from the number of the process
    (run.path / f".{os.getpid()}.plan.yaml").symlink_to(victim / "letter.txt")
    write_plan(run.plan, example_plan(), {})
    (run.path / f".{os.getpid()}.folder").symlink_to(victim)
    with folder_replaced_when_done(run.path / "folder") as folder:
        (folder / "new").touch()
    assert (victim / "letter.txt").read_text(encoding="utf-8") == "mine"
    assert [path.name for path in victim.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("folder", ["there", "there/new/deeper"])
def test_a_folder_that_may_not_be_written_to_is_told_before_work(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").mkdir()
    # root may write anywhere, so the answer for another user stands in
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != tmp_path / "there")
    for refused in (lambda f: folder_for_results(f), lambda f: require_run_or_empty(RunFolder(f))):
        with pytest.raises(InputError, match=f"no permission to write in {tmp_path / 'there'}"):
            refused(tmp_path / folder)
        refused(tmp_path / "elsewhere")


def test_a_folder_of_images_is_said_to_be_no_run(tmp_path):
    (tmp_path / "a.nii.gz").touch()
    (tmp_path / "dataset.json").touch()
    with pytest.raises(RunFolderError, match=r": is no RUN folder.*plan\.yaml; give the folder that `autoseg run`"):
        existing_run(tmp_path)
    (tmp_path / "time_spent.json").touch()
    with pytest.raises(RunFolderError, match=r"plan\.yaml: does not exist; `autoseg plan-and-preprocess` makes it"):
        existing_run(tmp_path)


@pytest.mark.parametrize("place", ["plan.yaml", "preprocessed/3d/case"])
def test_what_another_user_may_not_read_is_told_before_work(run, monkeypatch, place):
    # root may read everything, so the answer for another user stands in
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != run.path / place)
    with pytest.raises(RunFolderError, match=rf"{place}: there is no permission to read it; ask its owner"):
        existing_run(run.path)


def test_a_run_below_a_file_is_told_before_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(RunFolderError, match="file is a file; give a folder"):
        require_run_or_empty(RunFolder(tmp_path / "file" / "run"))


def test_a_link_in_place_of_a_lock_leaves_its_target(run, victim):
    (run.path / ".plan.yaml.held").symlink_to(victim)
    with pytest.raises(RunFolderError, match=r"held: is no folder.*delete it"), locked(run.plan, "planning"):
        pass
    assert (victim / "letter.txt").read_text(encoding="utf-8") == "mine"


def test_a_lock_that_somebody_planted_is_emptied_without_following_its_links(run, victim):
    holder = run.path / ".plan.yaml.held" / "00000000.1.1.00000000"
    holder.mkdir(parents=True)
    (holder / "alive").symlink_to(victim / "letter.txt")
    (holder / "more").symlink_to(victim)
    with locked(run.plan, "planning", patience=0.2):
        pass
    assert not holder.parent.exists()
    assert (victim / "letter.txt").read_text(encoding="utf-8") == "mine"


def test_a_folder_work_of_a_person_is_not_taken_for_that_of_a_run(tmp_path):
    run = RunFolder(tmp_path)
    run.work.mkdir()
    require_run_or_empty(run)
    (run.work / "letter.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(RunFolderError, match="is no RUN folder and holds work"):
        require_run_or_empty(run)
    run.request.write_text("{}", encoding="utf-8")
    require_run_or_empty(run)


def test_a_run_that_is_planned_now_says_so(tmp_path):
    run = RunFolder(tmp_path)
    with (
        locked(run.plan, "planning"),
        pytest.raises(RunFolderError, match=rf"process {os.getpid()} on .* plans it now; .* once plan.yaml is there"),
    ):
        require_requested_run(tmp_path)
