"""Several predictions into one folder share their cases: each case is claimed by the process that begins it.

Whoever predicts into a folder takes part in it as long as it runs. A case that another participant has predicted from
the same image with the same models and options is left as it is; one that it is at is left to it, unless it dies. Once
nobody takes part any more, the next prediction begins anew, and replaces what is there.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from autoseg.dataset.case import Case
from autoseg.disk.staging import staged_in
from autoseg.errors import AutosegError
from autoseg.files import write_text
from autoseg.run_folder.lock import locked_briefly, locked_if_free
from autoseg.run_folder.lock_holder import COUNTS, ENDING, PATIENCE, Watch

FOLDER = ".shared"
SECONDS_BETWEEN_LOOKS = 0.2


class LeftToOthers(AutosegError):
    """Another process predicts a case, or has predicted it."""


class SharedOutput:
    """The cases that this process has claimed in a folder of predictions; use `sharing` to make one.

    Args:
        folder: hidden folder in that of the predictions.
        job: what decides a prediction beside its image: models and options.
        watch: knows which of the other processes live.
    """

    def __init__(self, folder: Path, job: str, watch: Watch) -> None:
        self._folder, self._job, self._watch = folder, job, watch
        self._held: dict[str, tuple[ExitStack, Path]] = {}
        self._finished: dict[str, Case] = {}

    def claim(self, case: Case) -> None:
        """Claim a case, or keep it claimed.

        Raises:
            LeftToOthers: another process predicts it, or has predicted it.
        """
        if case.name in self._held:
            return
        held = ExitStack()
        mine = held.enter_context(
            locked_if_free(self._place(case), "predicting a case", self._watch, stages=False),
        )
        if mine is None or self.is_done(case):
            held.close()
            raise LeftToOthers(case.name)
        self._held[case.name] = held, mine

    def is_done(self, case: Case) -> bool:
        """Whether a participant has predicted the same with the same models."""
        try:
            return self._mark(case).read_text(encoding="utf-8") == self._digest(case)
        except OSError:
            return False

    @contextmanager
    def writing(self, case: Case) -> Iterator[None]:
        """Context manager in which the files of a claimed case are written, as long as its claim holds."""
        with staged_in(self._held[case.name][1]):
            yield

    def finish(self, case: Case) -> None:
        """Note that all files of a case are there; its rows may still wait."""
        self._finished[case.name] = case

    def publish(self) -> None:
        """Tell the others of the finished cases, whose rows are written by now, and give them up."""
        finished, self._finished = self._finished, {}
        for name, case in finished.items():
            held, mine = self._held.pop(name)
            with held, staged_in(mine):
                write_text(self._mark(case), self._digest(case))

    def give_up(self, case: Case) -> None:
        """Give up a case that could not be predicted."""
        if case.name in self._held and case.name not in self._finished:
            self._held.pop(case.name)[0].close()

    def close(self) -> None:
        """Give up every case."""
        for held, _ in self._held.values():
            held.close()
        self._held.clear()

    def left_behind(self, cases: list[Case]) -> Iterator[list[Case]]:
        """Yield the cases that other processes were at and left when they died; ends when there can be no more.

        Args:
            cases: cases that were left to others.
        """
        left = list(cases)
        while left:
            dead = []
            for case in list(left):
                place = self._place(case)
                if self.is_done(case) or self._watch.was_heard(place):
                    left.remove(case)
                elif self._watch.living(place) is None:
                    left.remove(case)
                    dead.append(case)
            if dead:
                yield dead
            elif left:
                time.sleep(min(SECONDS_BETWEEN_LOOKS, self._watch.patience / 20))

    def _place(self, case: Case) -> Path:
        return self._folder / "cases" / case.name

    def _mark(self, case: Case) -> Path:
        return self._folder / "done" / case.name

    def _digest(self, case: Case) -> str:
        images = "\n".join(str(None if image is None else Path.cwd() / image) for image in case.images)
        return hashlib.blake2b(f"{self._job}\n{images}".encode(), digest_size=16).hexdigest()


@contextmanager
def sharing(output: Path, job: str, *, patience: float = PATIENCE) -> Iterator[SharedOutput]:
    """Take part in the predictions of a folder while the block runs.

    Args:
        output: folder of the predictions.
        job: what decides a prediction beside its image: models and options.
        patience: seconds after which a process of another machine counts as gone.
    """
    folder, watch = output / FOLDER, Watch(patience)
    own = folder / f"taking_part_{secrets.token_hex(4)}"
    with ExitStack() as taking_part:
        with locked_briefly(folder, patience=patience):
            if not _others_live(folder, own, watch):
                shutil.rmtree(folder, ignore_errors=True)
            # what is written of a case is staged in the lock of the case
            taking_part.enter_context(locked_if_free(own, "predicting", watch, stages=False))
        shared = SharedOutput(folder, job, watch)
        try:
            yield shared
        finally:
            shared.close()
    with suppress(OSError), locked_briefly(folder, patience=patience):
        if not any(watch.living(place) for place in _places(folder)):
            shutil.rmtree(folder, ignore_errors=True)


def _others_live(folder: Path, own: Path, watch: Watch) -> bool:
    """Whether another process takes part; those of other machines are listened to for a few counts."""
    until = time.monotonic() + 2.5 * watch.patience / COUNTS
    while True:
        living = [place for place in _places(folder) if place != own and watch.living(place) is not None]
        if not living or any(map(watch.was_heard, living)):
            return bool(living)
        if time.monotonic() > until:
            return False
        time.sleep(min(SECONDS_BETWEEN_LOOKS, watch.patience / 20))


def _places(folder: Path) -> list[Path]:
    found = folder.glob(f".taking_part_*{ENDING}")
    return [lock.with_name(lock.name[1 : -len(ENDING)]) for lock in found]
