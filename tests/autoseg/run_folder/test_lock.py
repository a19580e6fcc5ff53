"""Of several processes one alone works and writes; a dead one keeps nobody waiting, a stopped one publishes nothing."""

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from autoseg.errors import RunFolderError
from autoseg.files import discard, folder_replaced_when_done, move, write_text
from autoseg.run_folder.lock import (
    LockedByAnother,
    locked,
    locked_briefly,
    locked_in_turn,
    remove_abandoned_locks,
)

HOLD = """
import os, sys, time
from pathlib import Path
import autoseg.disk.this_process as this_process
if {machine!r}:
    this_process.this_machine = lambda: {machine!r}
from autoseg.errors import AutosegError
from autoseg.files import write_text, folder_replaced_when_done
from autoseg.run_folder.lock import locked, locked_briefly
place = Path({place!r})
try:
    with locked(place, "working", patience={patience}):
        print("held", flush=True)
        sys.stdin.readline()
        {then}
    print("published", flush=True)
except AutosegError as error:
    print("refused:", error, flush=True)
"""


def hold(place: Path, *, machine: str = "", patience: float = 60.0, then: str = "pass") -> subprocess.Popen[str]:
    """A process that holds a lock until it gets a line; on this machine, or as if on another one."""
    program = HOLD.format(machine=machine, place=str(place), patience=patience, then=then)
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str]) -> str:
    said, _ = process.communicate("go on\n", timeout=30)
    return said


def test_a_second_process_is_told_at_once_and_nothing_stays(tmp_path: Path) -> None:
    place = tmp_path / "fold_0"
    process = hold(place)
    told = rf"another process is training here \(process {process.pid} on "
    with pytest.raises(LockedByAnother, match=told), locked(place, "training"):
        pytest.fail("it must not begin")
    assert end(process) == "published\n"
    with locked(place, "training"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_was_killed_keeps_nobody_waiting(tmp_path: Path) -> None:
    place = tmp_path / "fold_0"
    process = hold(place)
    # its status is not asked for, so that the operating system still lists it
    os.kill(process.pid, signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    with locked(place, "training", patience=1e9):
        pass
    assert list(tmp_path.iterdir()) == []
    process.wait()


def test_a_process_of_another_machine_that_works_keeps_its_lock(tmp_path: Path, capfd) -> None:
    place = tmp_path / "fold_0"
    process = hold(place, machine="0" * 8, patience=3.0)
    with (
        pytest.raises(LockedByAnother, match="another process is training here"),
        locked(place, "training", patience=3),
    ):
        pytest.fail("it must not begin")
    assert "locked by a process of another machine" in capfd.readouterr().err
    assert end(process) == "published\n"


@pytest.mark.parametrize(
    "then",
    [
        "write_text(place, 'of the first')",
        "with folder_replaced_when_done(place) as folder: (folder / 'file').write_text('of the first')",
    ],
    ids=["file", "folder"],
)
def test_a_stopped_process_that_wakes_up_publishes_nothing(tmp_path: Path, then: str) -> None:
    place = tmp_path / "fold_0"
    process = hold(place, machine="0" * 8, patience=0.6, then=then)
    os.kill(process.pid, signal.SIGSTOP)
    with locked(place, "training", patience=0.6):
        os.kill(process.pid, signal.SIGCONT)
        said = end(process)
        write_text(place, "of the second")
    assert said.startswith("refused:") and "another process has taken over" in said
    assert place.read_text() == "of the second"
    assert list(tmp_path.iterdir()) == [place]


def test_a_lock_that_is_lost_stops_every_kind_of_writing(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("as it was")
    with pytest.raises(RunFolderError, match="taken over"), locked(tmp_path / "work", "working") as mine:
        with folder_replaced_when_done(tmp_path / "before") as folder:
            (folder / "file").touch()
        mine.rename(tmp_path / "stolen")
        for write in (
            lambda: write_text(kept / "file", "changed"),
            lambda: write_text(tmp_path / "new", "new"),
            lambda: discard(kept),
            lambda: move(kept / "file", tmp_path / "moved"),
        ):
            with pytest.raises(RunFolderError, match="taken over"):
                write()
        with folder_replaced_when_done(kept) as folder:
            pytest.fail("it must not begin")
    assert {path.name for path in tmp_path.iterdir()} == {"kept", "before", "stolen"}
    assert (kept / "file").read_text() == "as it was"


def test_many_processes_count_together_and_lose_nothing(tmp_path: Path) -> None:
    number = tmp_path / "number"
    number.write_text("0")
    program = (
        "from pathlib import Path\n"
        "from autoseg.files import write_text\n"
        "from autoseg.run_folder.lock import locked_briefly\n"
        f"number = Path({str(number)!r})\n"
        "for _ in range(40):\n"
        "    with locked_briefly(number):\n"
        "        write_text(number, str(int(number.read_text()) + 1))\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(4)]
    assert [process.wait(timeout=120) for process in processes] == [0] * 4
    assert number.read_text() == "160"
    assert list(tmp_path.iterdir()) == [number]


@pytest.mark.parametrize("error", [errno.ENOTEMPTY, errno.EEXIST, errno.EACCES])
def test_a_lock_that_is_given_up_just_as_it_was_found_taken_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    place = tmp_path / "fold_0"
    rename, answers = os.rename, [error]

    def answer(source: Path, target: Path) -> None:
        if answers and target.suffix == ".held":
            raise OSError(answers.pop(), "is taken", str(source), None, str(target))
        rename(source, target)

    monkeypatch.setattr(os, "rename", answer)
    with locked(place, "working") as mine:
        assert mine.parent == tmp_path / ".fold_0.held"
    assert not answers
    assert list(tmp_path.iterdir()) == []


def test_of_many_that_find_a_dead_holder_one_at_a_time_works(tmp_path: Path) -> None:
    place = tmp_path / "fold_0"
    dead = hold(place, machine="0" * 8, patience=3)
    dead.kill()
    dead.wait()
    program = (
        "import os, time\n"
        "from pathlib import Path\n"
        "from autoseg.run_folder.lock import locked_briefly\n"
        f"place = Path({str(place)!r})\n"
        "with locked_briefly(place, patience=3):\n"
        "    alone = os.open(place.with_name('alone'), os.O_CREAT | os.O_EXCL)\n"
        "    time.sleep(0.05)\n"
        "    os.unlink(place.with_name('alone'))\n"
    )
    # far longer than a block takes on a busy machine: who holds the lock for longer counts as gone
    processes = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(8)]
    assert [process.wait(timeout=120) for process in processes] == [0] * 8
    assert list(tmp_path.iterdir()) == []


def test_who_waits_for_a_turn_begins_once_the_other_has_ended(tmp_path: Path) -> None:
    place, published = tmp_path / "reports", []
    process = hold(place)
    ending = threading.Timer(0.3, lambda: published.append(end(process)))
    ending.start()
    with locked_in_turn(place, "reporting", patience=1.0):
        ending.join()
        assert published == ["published\n"]
    # one that was killed has no turn
    dead = hold(place, machine="0" * 8, patience=0.5)
    dead.kill()
    dead.wait()
    with pytest.raises(ValueError, match="of the block"), locked_in_turn(place, "reporting", patience=0.5):
        raise ValueError("of the block")
    assert list(tmp_path.iterdir()) == []


def test_locks_of_processes_that_ended_are_removed_and_others_stay(tmp_path: Path) -> None:
    dead, elsewhere, alive = hold(tmp_path / "dead"), hold(tmp_path / "far", machine="0" * 8), hold(tmp_path / "alive")
    for process in (dead, elsewhere):
        process.kill()
        process.wait()
    (tmp_path / ".empty.held").mkdir()
    remove_abandoned_locks(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {".far.held", ".alive.held"}
    assert end(alive) == "published\n"


def test_a_lock_needs_no_flock(tmp_path: Path, monkeypatch) -> None:
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setattr(fcntl, "lockf", refuse)
    with locked(tmp_path / "fold_0", "training"), locked_briefly(tmp_path / "time"):
        write_text(tmp_path / "file", "written")
    assert (tmp_path / "file").read_text() == "written"


def test_what_lies_in_place_of_a_count_is_not_printed(tmp_path: Path, capfd) -> None:
    private = tmp_path / "letter"
    private.write_text("1\nsecret\n3\n")
    for number, plant in enumerate((Path.hardlink_to, Path.symlink_to)):
        place = tmp_path / f"fold_{number}"
        holder = tmp_path / f".fold_{number}.held" / f"{'0' * 8}.1.1.{'0' * 8}"
        holder.mkdir(parents=True)
        plant(holder / "alive", private)
        with locked(place, "training", patience=0.2):
            pass
    assert private.read_text() == "1\nsecret\n3\n"
    told = capfd.readouterr().err
    assert told.count("another machine (unknown)") == 2 and "secret" not in told
