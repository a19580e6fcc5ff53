"""Whether the holder of a lock lives is known at once on this machine, and watched on another one."""

import time
from pathlib import Path

from autoseg.run_folder.lock import locked, locked_if_free
from autoseg.run_folder.lock_holder import COUNT, Watch, lock_of


def hold_elsewhere(place: Path, number: int = 0) -> Path:
    holder = lock_of(place) / f"{'0' * 8}.1.1.{'0' * 8}"
    holder.mkdir(parents=True, exist_ok=True)
    (holder / COUNT).write_text(f"{number:020d}\nprocess 1 on other\nworking\n")
    return holder


def test_a_lock_of_this_machine_is_refused_at_once_and_one_that_is_free_is_taken(tmp_path: Path) -> None:
    place, watch = tmp_path / "case", Watch(60.0)
    with locked_if_free(place, "first", watch) as mine:
        assert mine is not None and watch.was_heard(place)
        with locked_if_free(place, "second", watch) as other:
            assert other is None
    assert list(tmp_path.iterdir()) == []


def test_a_process_elsewhere_lives_until_its_count_has_stood_still(tmp_path: Path) -> None:
    place, watch = tmp_path / "case", Watch(0.3)
    hold_elsewhere(place)
    holder = watch.living(place)
    assert holder is not None and holder.told == "process 1 on other" and not watch.was_heard(place)
    with locked_if_free(place, "working", watch) as mine:
        assert mine is None
    time.sleep(0.2)
    hold_elsewhere(place, 1)
    assert watch.was_heard(place)
    time.sleep(0.2)
    assert watch.living(place) is not None, "it was heard less than the patience ago"
    time.sleep(0.3)
    assert watch.living(place) is None
    with locked_if_free(place, "working", watch) as mine, locked(tmp_path / "other", "working"):
        assert mine is not None
    assert list(tmp_path.iterdir()) == []
