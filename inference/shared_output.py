"""Several predictions into one folder share their cases: each case is claimed by the process that begins it.

Whoever predicts into a folder takes part in it as long as it runs. A case that another participant has predicted from
the same image with the same models and options is left as it is; one that it is at is left to it, unless it dies. One
that it predicts in another way is refused: the folder holds one prediction of a case. Once nobody takes part any more,
the next prediction begins anew, and replaces what is there.

Units of work may run one after the other. What they have predicted lasts: it stays known when nobody takes part, until
somebody begins anew, or with other models.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from autoseg.dataset.case import Case
from autoseg.disk.staging import staged_in
from autoseg.errors import AutosegError, InputError, LockTakenOver
from autoseg.files import write_text
from autoseg.run_folder.lock import locked_briefly, locked_if_free
from autoseg.run_folder.lock_holder import COUNTS, ENDING, PATIENCE, Watch

FOLDER = ".shared"
JOB = "job"
LASTING = "lasting"
"""File of what lasts: what the units are made from, and the job whose predictions are known."""

SECONDS_BETWEEN_LOOKS = 0.2

_LASTING = re.compile("([0-9a-f]{32}) ([0-9a-f]{32})")


class LeftToOthers(AutosegError):
    """Another process predicts a case, or has predicted it."""


@dataclass(frozen=True)
class Lasting:
    """That what is predicted stays known once nobody takes part any more.

    Args:
        made_from: digest of the models and options of units of work; None = this prediction is none of theirs, and
            leaves what they have predicted as it is.
        present: tells the names of the cases of which all files are there; it is asked where nobody else takes part.
    """

    made_from: str | None
    present: Callable[[], Collection[str]]


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
            InputError: another process predicts it from another image, or with other models or options, or has done so.
        """
        if case.name in self._held:
            return
        with ExitStack() as held:
            mine = held.enter_context(
                locked_if_free(self._place(case), "predicting a case", self._watch, stages=False),
            )
            marked = self._marked(case) if mine is not None else self._job_of_holder(case)
            if marked not in ("", self._digest(case)):
                raise InputError(
                    f"{case.name}: another command predicts it into the same folder from another image, or with other "
                    "models or options; give another folder, or wait until that command has ended"
                )
            if mine is None or marked:
                raise LeftToOthers(case.name)
            # gone where another process has taken the claim over already
            with suppress(FileNotFoundError):
                (mine / JOB).write_text(self._digest(case), encoding="utf-8")
            self._held[case.name] = held.pop_all(), mine

    def is_done(self, case: Case) -> bool:
        """Whether a participant has predicted the same with the same models."""
        return _read(self._mark(case)) == self._digest(case)

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
            # without a mark, as where another process has taken the case over, it is only predicted once more
            with suppress(OSError, LockTakenOver), held, staged_in(mine):
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

    def left_behind(self, cases: list[Case], *, until_done: bool = False) -> Iterator[list[Case]]:
        """Yield the cases that other processes left when they died, or predict in another way; then nothing is open.

        Args:
            cases: cases that were left to others.
            until_done: whether those are waited for too that are in the hands of a process which was seen to live.
        """
        left = list(cases)
        while left:
            dead = []
            for case in list(left):
                place = self._place(case)
                heard = self._watch.was_heard(place) and self._job_of_holder(case) == self._digest(case)
                if self.is_done(case) or (heard and not until_done):
                    left.remove(case)
                elif self._watch.living(place) is None or self._job_of_holder(case) not in ("", self._digest(case)):
                    left.remove(case)
                    dead.append(case)
            if dead:
                yield dead
            elif left:
                time.sleep(min(SECONDS_BETWEEN_LOOKS, self._watch.patience / 20))

    def _place(self, case: Case) -> Path:
        return self._folder / "cases" / case.name

    def _mark(self, case: Case) -> Path:
        return _done(self._folder, self._job) / case.name

    def _marked(self, case: Case) -> str:
        """Digest of what was done of a case; empty = nothing, `other` = its prediction in another way."""
        if own := _read(self._mark(case)):
            return own
        with suppress(FileNotFoundError):
            if any((job / case.name).exists() for job in self._mark(case).parent.parent.iterdir()):
                return "other"
        return ""

    def _job_of_holder(self, case: Case) -> str:
        """Digest of what the process does that has claimed a case; empty where that is not known yet."""
        holder = self._watch.living(self._place(case))
        return "" if holder is None else _read(holder.folder / JOB)

    def _digest(self, case: Case) -> str:
        images = "\n".join(str(None if image is None else Path.cwd() / image) for image in case.images)
        return _digest_of(f"{self._job}\n{images}")


def lasting_cases(output: Path, made_from: str) -> frozenset[str]:
    """Names of the cases that units of work have predicted.

    Args:
        output: folder of the predictions.
        made_from: digest of the models and options of the units.
    """
    found = _read_lasting(output / FOLDER)
    if found is None or found[0] != made_from:
        return frozenset()
    with suppress(OSError):
        return frozenset(mark.name for mark in (output / FOLDER / "done" / found[1]).iterdir())
    return frozenset()


def forget(output: Path, cases: Collection[str]) -> None:
    """Let cases be predicted again that units of work have predicted, as where their images have changed since.

    Args:
        output: folder of the predictions.
        cases: names of the cases.
    """
    for done in (output / FOLDER / "done").glob("*"):
        for name in cases:
            (done / name).unlink(missing_ok=True)


def _read_lasting(folder: Path) -> tuple[str, str] | None:
    """What units are made from, and the digest of the job that they do; None where nothing lasts."""
    found = _LASTING.fullmatch(_read(folder / LASTING))
    return None if found is None else (found[1], found[2])


def _done(folder: Path, job: str) -> Path:
    """Folder of the marks of the cases that are predicted by a job."""
    return folder / "done" / _digest_of(job)


def _digest_of(text: str) -> str:
    # a path may hold bytes that are no text
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def _begin_anew(folder: Path, job: str, lasting: Lasting | None) -> None:
    """Forget what was predicted before, but for what lasts, is there, and was made by the same job."""
    found = _read_lasting(folder)
    if found is None or lasting is None or found != (lasting.made_from or found[0], _digest_of(job)):
        shutil.rmtree(folder, ignore_errors=True)
        return
    present, kept = lasting.present(), _done(folder, job)
    for mark in kept.iterdir() if kept.exists() else ():
        if mark.name not in present:
            mark.unlink()
    # locks of processes that died on other machines are among what goes
    for entry in (*folder.iterdir(), *(folder / "done").glob("*")):
        if entry not in (kept, kept.parent, folder / LASTING):
            shutil.rmtree(entry, ignore_errors=True)


def _read(path: Path) -> str:
    """Text of a small file; empty where there is none, or it is not whole yet."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


@contextmanager
def sharing(
    output: Path, job: str, *, patience: float = PATIENCE, lasting: Lasting | None = None
) -> Iterator[SharedOutput]:
    """Take part in the predictions of a folder while the block runs.

    Args:
        output: folder of the predictions.
        job: what decides a prediction beside its image: models and options.
        patience: seconds after which a process of another machine counts as gone.
        lasting: that what is predicted lasts; None = it does not.
    """
    folder, watch = output / FOLDER, Watch(patience)
    own = folder / f"taking_part_{secrets.token_hex(4)}"
    with ExitStack() as taking_part:
        with locked_briefly(folder, patience=patience):
            if not _others_live(folder, own, watch):
                _begin_anew(folder, job, lasting)
            if lasting is not None and lasting.made_from is not None:
                write_text(folder / LASTING, f"{lasting.made_from} {_digest_of(job)}")
            # what is written of a case is staged in the lock of the case
            taking_part.enter_context(locked_if_free(own, "predicting", watch, stages=False))
        shared = SharedOutput(folder, job, watch)
        try:
            yield shared
        finally:
            shared.close()
    with suppress(OSError), locked_briefly(folder, patience=patience):
        if _read_lasting(folder) is None and not any(watch.living(place) for place in _places(folder)):
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
