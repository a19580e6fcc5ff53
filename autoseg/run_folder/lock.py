"""Locks between processes of one machine or many, on any file system that a cluster has.

A lock is a folder `NAME.held` that holds one folder, which is named after its holder. It needs no `flock`: of what it
uses, each step is one rename or removal, which a server of files does whole or not at all.

- taken: a prepared folder is renamed to `NAME.held`, which fails where that exists and is not empty;
- held: the holder counts in a file in its folder; it also writes in there whatever it renames to its place;
- given up, or taken from a holder that is no more: the holder's folder is renamed away. A holder that was only stopped
  finds its folder gone at its next rename.

A holder of this machine lives or does not, which is known at once. One of another machine is gone where its count has
stood still for `PATIENCE`, by the clock of whoever looks at it, since clocks of machines differ.
"""

from __future__ import annotations

import errno
import os
import platform
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from autoseg.disk.leftovers import hidden_name
from autoseg.disk.staging import staged_in
from autoseg.disk.this_process import this_process
from autoseg.disk.transient import patiently
from autoseg.errors import RunFolderError
from autoseg.run_folder.lock_holder import COUNT, COUNTS, ENDING, PATIENCE, Holder, Watch, holder_of, lock_of
from autoseg.terminal import open_console

DEEPEST = 2
"""Locks lie in a RUN folder, `work/`, `preprocessed/`, `preprocessed/CONFIG/` and `models/CONFIG/`."""

FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.25
"""Seconds between two tries of whoever waits for a short moment: longer ones as more wait, so that a server of files
and the processors have something left for those that work."""

MOST_TRIES = 20
"""So often a lock is tried whose holders are gone, or give it up at the same moment."""

_TAKEN = {errno.ENOTEMPTY, errno.EEXIST}
_PERHAPS_TAKEN = {errno.EACCES, errno.EPERM}
"""How Windows and its servers of files answer where the lock is taken; elsewhere it is not allowed to write there."""


class LockedByAnother(RunFolderError):
    """Another process holds a lock."""


@contextmanager
def locked(place: Path, doing: str, *, patience: float = PATIENCE) -> Iterator[Path]:
    """Hold a lock while the block runs; what the block writes reaches its place only as long as the lock is held.

    Args:
        place: folder with the name of what is locked, such as `RUN/models/3d/fold_0`.
        doing: what the block does, such as `planning`; a second process is told this.
        patience: seconds for which the count of a process of another machine stands still until it counts as gone.

    Yields:
        The folder in which the block's files are staged; processes that work for it enter `staged_in` with it.

    Raises:
        LockedByAnother: another process holds the lock.
        RunFolderError: another process took the lock over, since this process had stood still; nothing was written
            since then.
    """
    with _held(place, doing, patience, waits=False) as mine, _counting(mine, patience), staged_in(mine):
        yield mine


@contextmanager
def locked_briefly(place: Path, *, patience: float = PATIENCE) -> Iterator[None]:
    """Wait for a lock and hold it while the block runs, which takes far less time than `patience`.

    Args:
        place: folder with the name of what is locked.
        patience: seconds after which a holder counts as gone.

    Raises:
        RunFolderError: another process took the lock over, since this process had stood still.
    """
    with _held(place, "writing", patience, waits=True) as mine, staged_in(mine):
        yield


@contextmanager
def locked_if_free(place: Path, doing: str, watch: Watch, *, stages: bool = True) -> Iterator[Path | None]:
    """Hold a lock while the block runs if no other process holds it; nobody waits.

    Args:
        place: folder with the name of what is locked.
        doing: what the block does; a second process is told this.
        watch: knows how long the holders of other machines have stood still.
        stages: whether what the block writes is staged in the lock; without it, the block may begin in one thread and
            end in another, and whoever writes enters `staged_in` with the folder.

    Yields:
        The folder in which the block's files are staged; None where another process holds the lock.

    Raises:
        RunFolderError: another process took the lock over, since this process had stood still.
    """
    with ExitStack() as held:
        mine: Path | None = None
        # a look is cheap, and a try makes and removes folders: of many workers, most find a lock held
        if watch.living(place) is None:
            with suppress(LockedByAnother):
                mine = held.enter_context(_held(place, doing, watch.patience, watch=watch))
        if mine is not None:
            held.enter_context(_counting(mine, watch.patience))
            if stages:
                held.enter_context(staged_in(mine))
        yield mine


@contextmanager
def locked_in_turn(place: Path, doing: str, *, patience: float = PATIENCE) -> Iterator[Path]:
    """Wait for a lock as long as its holder lives, and hold it while the block runs, however long that takes.

    Args:
        place: folder with the name of what is locked.
        doing: what the block does; a second process is told this.
        patience: seconds after which a process of another machine counts as gone.

    Yields:
        The folder in which the block's files are staged.

    Raises:
        RunFolderError: another process took the lock over, since this process had stood still.
    """
    watch = Watch(patience)
    while True:
        with locked_if_free(place, doing, watch) as mine:
            if mine is not None:
                yield mine
                return
        time.sleep(min(1.0, patience / 10))


def remove_abandoned_locks(folder: Path) -> None:
    """Remove locks in a RUN folder whose holders were processes of this machine that ended.

    Args:
        folder: RUN folder; locks lie at most two folders deep in it, so that the folders of cases are not searched.
    """
    for where, folders, _ in os.walk(folder):
        for name in [name for name in folders if name.endswith(ENDING)]:
            remove_if_abandoned(Path(where, name))
        if len(Path(where).relative_to(folder).parts) == DEEPEST:
            folders.clear()


def remove_if_abandoned(lock: Path) -> None:
    """Remove a lock whose holder was a process of this machine that ended, with what it had begun to write."""
    if (holder := holder_of(lock)) is not None and holder.has_ended:
        _bury(holder.folder)
    with suppress(OSError):
        # only an empty folder, which a process that was killed leaves behind
        lock.rmdir()


@contextmanager
def _held(
    place: Path, doing: str, patience: float, *, waits: bool = False, watch: Watch | None = None
) -> Iterator[Path]:
    lock = lock_of(place)
    patiently(lock.parent.mkdir, parents=True, exist_ok=True)
    mine = lock / f"{this_process()}.{secrets.token_hex(4)}"
    prepared = hidden_name(lock.parent, lock.name)
    try:
        patiently((prepared / mine.name).mkdir, parents=True)
        (prepared / mine.name / COUNT).write_text(_count(0, doing), encoding="utf-8")
        if watch is None:
            _take(lock, mine, prepared, doing, patience, waits=waits)
        else:
            _take_if_free(lock, mine, prepared, watch)
        yield mine
    finally:
        shutil.rmtree(prepared, ignore_errors=True)
        _bury(mine)
        with suppress(OSError):
            lock.rmdir()


def _take(lock: Path, mine: Path, prepared: Path, doing: str, patience: float, *, waits: bool) -> None:
    """Rename the prepared folder to the lock as soon as nobody holds it."""
    seen: Holder | None = None
    since, pause = time.monotonic(), FIRST_PAUSE
    while not _is_renamed(prepared, lock, mine):
        holder = holder_of(lock)
        stands_still = time.monotonic() - since > patience
        if holder is None:
            # given up meanwhile, or half removed by a process that was killed
            with suppress(OSError):
                lock.rmdir()
            if stands_still:
                raise RunFolderError(f"{lock}: cannot be replaced, though nobody holds it; delete this folder")
        elif (ended := holder.has_ended) or (holder == seen and stands_still):
            _bury(holder.folder)
            continue
        elif not waits and (ended is False or seen not in (None, holder)):
            raise LockedByAnother(
                f"{lock.parent}: another process is {doing} here ({holder.told}); wait for it or stop it"
            )
        elif holder != seen:
            if not waits:
                _say_it_watches(holder, lock, patience)
            seen, since = holder, time.monotonic()
        time.sleep(min(patience / 20, pause if waits else 0.5))
        pause = min(1.3 * pause, LONGEST_PAUSE)


def _take_if_free(lock: Path, mine: Path, prepared: Path, watch: Watch) -> None:
    """Rename the prepared folder to the lock, or raise `LockedByAnother` at once."""
    for _ in range(MOST_TRIES):
        if _is_renamed(prepared, lock, mine):
            return
        holder, lives = watch.look(lock)
        if lives:
            break
        if holder is not None:
            _bury(holder.folder)
        with suppress(OSError):
            lock.rmdir()
    raise LockedByAnother(f"{lock.parent}: another process works here; wait for it or stop it")


def _say_it_watches(holder: Holder, lock: Path, patience: float) -> None:
    open_console(stderr=True).print(
        f"{lock.parent}: locked by a process of another machine ({holder.told}); autoseg waits for at most "
        f"{patience:.0f} s to see whether that process is alive, and goes on in its place if it is not",
        soft_wrap=True,
    )


def _is_renamed(prepared: Path, lock: Path, mine: Path) -> bool:
    """Rename the prepared folder to the lock; False where another process holds it."""
    try:
        patiently(os.rename, prepared, lock)
    except OSError as error:
        # a server that answers late may have done it all the same
        if error.errno == errno.ENOENT and mine.exists():
            return True
        if error.errno == errno.ENOTDIR:
            raise RunFolderError(f"{lock}: is no folder, so nothing can be locked with it; delete it") from None
        # whether the lock still exists says nothing: its holder may have given it up since
        if error.errno in _TAKEN or (error.errno in _PERHAPS_TAKEN and os.access(lock.parent, os.W_OK)):
            return False
        raise
    return True


def _bury(holder: Path) -> None:
    """Take the lock from a holder; of several processes that try, one does it. Its half-written files are removed."""
    gone = hidden_name(holder.parent.parent, "gone")
    with suppress(OSError):
        patiently(os.rename, holder, gone)
    shutil.rmtree(gone, ignore_errors=True)


def _count(number: int, doing: str) -> str:
    return f"{number:020d}\nprocess {os.getpid()} on {platform.node()}\n{doing}\n"


@contextmanager
def _counting(mine: Path, patience: float) -> Iterator[None]:
    """Count on in the holder's folder while the block runs, as long as the folder is there."""
    ended = threading.Event()

    def count_on() -> None:
        number = 0
        while not ended.wait(patience / COUNTS):
            number += 1
            try:
                with (mine / COUNT).open("r+b") as file:
                    file.write(f"{number:020d}".encode())
            except FileNotFoundError:
                return
            except OSError:
                # a full or slow disk; the count goes on as soon as it can
                continue

    counter = threading.Thread(target=count_on, daemon=True, name="lock")
    counter.start()
    try:
        yield
    finally:
        ended.set()
        counter.join()
