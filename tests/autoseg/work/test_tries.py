"""Every try of a unit is written down, however it ends."""

import signal

import pytest

from autoseg.errors import InputError, LockTakenOver, NotEnoughMemory, OutOfMemory
from autoseg.machine.stop_answer import StopAsked
from autoseg.run_folder.paths import RunFolder
from autoseg.work.tries import KEPT, STOPPED, begin_try, end_try, read_tries, status_of, tried
from tests.stopped_in_c import at_work, translate


class Stopped(InputError):
    exit_status = 143


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InputError("mend it"), 2),
        (NotEnoughMemory("too little"), 1),
        (OutOfMemory("cuda:0"), 1),
        (OSError(28, "no space"), 1),
        (RuntimeError("a defect"), 1),
        (KeyboardInterrupt(), 75),
        (Stopped("saved its state"), 75),
        (LockTakenOver("another goes on"), 75),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_status_says_whether_another_try_helps(tmp_path, error, status) -> None:
    run = RunFolder(tmp_path)
    with pytest.raises(type(error)), tried(run, "plan", log="plan.log"):
        assert read_tries(run, "plan").last[-1].exit is None, "its begin is written at once"
        raise error
    tries = read_tries(run, "plan")
    assert status_of(error) == status == tries.last[-1].exit
    assert tries.count == 1 and tries.last[-1].log == "plan.log" and tries.last[-1].ended is not None
    assert tries.last[-1].message == (str(error) or "it was stopped") and tries.made_from is None


def test_a_stop_that_a_library_made_an_error_of_is_a_stop(tmp_path) -> None:
    run = RunFolder(tmp_path)
    with at_work(), pytest.raises(StopAsked), tried(run, "plan"):
        translate(signal.SIGTERM)
    last = read_tries(run, "plan").last[-1]
    assert (last.exit, last.message) == (STOPPED, "stopped by SIGTERM")


def test_two_processes_that_try_the_same_keep_both_records(tmp_path) -> None:
    run = RunFolder(tmp_path)
    first, second = begin_try(run, "select", "a"), begin_try(run, "select", "b")
    end_try(run, "select", first, 1, "why")
    assert [(one.log, one.exit) for one in read_tries(run, "select").last] == [("b", None), ("a", 1)]
    end_try(run, "select", second, 0)
    assert [(one.log, one.exit) for one in read_tries(run, "select").last] == [("a", 1), ("b", 0)]
    assert [path.name for path in run.work.iterdir()] == ["select.json"]


def test_the_number_of_tries_is_known_though_only_the_last_are_kept(tmp_path) -> None:
    run = RunFolder(tmp_path)
    for number in range(KEPT + 2):
        end_try(run, "plan", begin_try(run, "plan", str(number)), 1)
    tries = read_tries(run, "plan")
    assert tries.count == KEPT + 2 and [one.log for one in tries.last][:: KEPT - 1] == ["2", str(KEPT + 1)]


def test_a_damaged_record_is_forgotten(tmp_path) -> None:
    run = RunFolder(tmp_path)
    run.work.mkdir()
    run.tries("plan").write_text("{")
    assert read_tries(run, "plan").count == 0
    with tried(run, "plan"):
        pass
    assert read_tries(run, "plan").last[-1].exit == 0


def test_a_long_message_ends_with_a_whole_word(tmp_path) -> None:
    run = RunFolder(tmp_path)
    end_try(run, "plan", begin_try(run, "plan"), 1, "sentence " * 1_000)
    (one,) = read_tries(run, "plan").last
    assert one.message.endswith("sentence …") and 1_980 < len(one.message) <= 2_002
