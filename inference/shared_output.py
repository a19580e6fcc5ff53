"""Several predictions into one folder share their cases: each case is claimed by the process that begins it.

Whoever predicts into a folder takes part in it as long as it runs. A case that another participant has predicted from
the same image with the same models and options is left as it is, as long as its files are there; one that it is at is
left to it, unless it dies. One that it predicts in another way is refused: the folder holds one prediction of a case.
Once nobody takes part any more, the next prediction begins anew, and replaces what is there.

Units of work may run one after the other. What they have predicted lasts: it stays known when nobody takes part, until
somebody begins anew, or with other models.

With a hundred thousand cases nearly every look is at a case that somebody else has done: it costs to open one small
file, its mark, and no lock.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Literal

from autoseg.dataset.case import Case
from autoseg.disk.staging import staged_in
from autoseg.errors import AutosegError, InputError, LockTakenOver
from autoseg.files import write_text
from autoseg.image.path_choice import split_choice
from autoseg.names import why_unsafe
from autoseg.run_folder.lock import locked_briefly, locked_if_free
from autoseg.run_folder.lock_holder import COUNTS, ENDING, PATIENCE, Watch
from inference.lasting_marks import (
    FOLDER,
    Lasting,
    begin,
    digest_of,
    done_folder,
    lasts,
    move_away,
    note_what_lasts,
    read_small,
    refuse_links,
    remove_moved,
)

JOB = "job"
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
        self._finished: dict[str, tuple[Case, tuple[str, ...]]] = {}
        self._digests: dict[str, str] = {}

    def claim(self, case: Case) -> None:
        """Claim a case, or keep it claimed.

        Raises:
            LeftToOthers: another process predicts it, or has predicted it.
            InputError: another process predicts it from another image, or with other models or options, or has done so;
                or its name leads to another folder.
        """
        if case.name in self._held:
            return
        if (why := why_unsafe(case.name)) is not None:
            raise InputError(f"{case.name}: the name {why}; files will bear it, rename the case")
        if self.is_done(case):
            raise LeftToOthers(case.name)
        with ExitStack() as held:
            mine = held.enter_context(
                locked_if_free(self._place(case), "predicting a case", self._watch, stages=False),
            )
            marked = self._marked(case)[0] if mine is not None else self._job_of_holder(case)
            if mine is not None and not marked and self._is_done_otherwise(case):
                marked = "other"
            if marked not in ("", self._digest(case)):
                raise InputError(
                    f"{case.name}: another command predicts it into the same folder from another image, or with other "
                    "models or options; give another folder, or wait until that command has ended"
                )
            if mine is None or self.is_done(case):
                raise LeftToOthers(case.name)
            if marked:
                # its files are gone: it must not count as done between the first new file and the last row
                self._mark(case).unlink(missing_ok=True)
            # gone where another process has taken the claim over already
            with suppress(FileNotFoundError):
                (mine / JOB).write_text(self._digest(case), encoding="utf-8")
            self._held[case.name] = held.pop_all(), mine

    def is_done(self, case: Case) -> bool:
        """Whether a participant has predicted the same with the same models, and nobody has removed a file of it."""
        if why_unsafe(case.name) is not None:
            return False
        job, files = self._marked(case)
        # what is no path of a file is no file
        with suppress(OSError):
            return job == self._digest(case) and all((self._folder.parent / file).exists() for file in files)
        return False

    @contextmanager
    def writing(self, case: Case) -> Iterator[None]:
        """Context manager in which the files of a claimed case are written, as long as its claim holds."""
        with staged_in(self._held[case.name][1]):
            yield

    def finish(self, case: Case, files: Iterable[Path] = ()) -> None:
        """Note that all files of a case are there; its rows may still wait.

        Args:
            case: case that was claimed.
            files: its files, in the folder of the predictions; if one is removed, the case is not done any more.
        """
        output = self._folder.parent
        self._finished[case.name] = case, tuple(file.relative_to(output).as_posix() for file in files)

    def publish(self) -> None:
        """Tell the others of the finished cases, whose rows are written by now, and give them up."""
        finished, self._finished = self._finished, {}
        for name, (case, files) in finished.items():
            held, mine = self._held.pop(name)
            # without a mark, as where another process has taken the case over, it is only predicted once more
            with suppress(OSError, LockTakenOver), held, staged_in(mine):
                write_text(self._mark(case), json.dumps([self._digest(case), *files]))

    def give_up(self, case: Case) -> None:
        """Give up a case that could not be predicted."""
        if case.name in self._held and case.name not in self._finished:
            self._held.pop(case.name)[0].close()

    def close(self) -> None:
        """Give up every case."""
        for held, _ in self._held.values():
            held.close()
        self._held.clear()

    def forget(self, case: Case) -> None:
        """Let a finished case count as not done, since its rows are not there any more."""
        self._mark(case).unlink(missing_ok=True)

    def left_behind(self, cases: Sequence[Case], *, until_done: bool = False) -> Iterator[list[Case]]:
        """Yield the cases that other processes left when they died, or predict in another way; then nothing is open.

        Args:
            cases: cases that were left to others.
            until_done: whether those are waited for too that are in the hands of a process which was seen to live.
        """
        left = list(cases)
        while left:
            open_still, dead = [], []
            for case in left:
                fate = self._fate(case, until_done=until_done)
                if fate == "open":
                    open_still.append(case)
                elif fate == "left behind":
                    dead.append(case)
            left = open_still
            if dead:
                yield dead
            elif left:
                time.sleep(min(SECONDS_BETWEEN_LOOKS, self._watch.patience / 20))

    def _fate(self, case: Case, *, until_done: bool) -> Literal["in good hands", "left behind", "open"]:
        """What becomes of a case that was left to others."""
        if self.is_done(case):
            return "in good hands"
        holder = self._watch.living(self._place(case))
        if holder is None:
            # it may have been published since
            return "in good hands" if self.is_done(case) else "left behind"
        job = read_small(holder.folder / JOB)
        if job not in ("", self._digest(case)):
            return "left behind"
        return "in good hands" if job and not until_done and self._watch.was_heard(self._place(case)) else "open"

    def _place(self, case: Case) -> Path:
        return self._folder / "cases" / case.name

    def _mark(self, case: Case) -> Path:
        return done_folder(self._folder, self._job) / case.name

    def _marked(self, case: Case) -> tuple[str, tuple[str, ...]]:
        """Digest of what predicted a case, empty where nothing did, and the files that it wrote."""
        try:
            job, *files = json.loads(read_small(self._mark(case)) or '[""]')
        except (ValueError, TypeError, RecursionError):
            return "", ()
        return str(job), tuple(map(str, files))

    def _is_done_otherwise(self, case: Case) -> bool:
        """Whether a participant has predicted a case with other models or options."""
        with suppress(FileNotFoundError):
            return any((job / case.name).exists() for job in self._mark(case).parent.parent.iterdir())
        return False

    def _job_of_holder(self, case: Case) -> str:
        """Digest of what the process does that has claimed a case; empty where that is not known yet."""
        holder = self._watch.living(self._place(case))
        return "" if holder is None else read_small(holder.folder / JOB)

    def _digest(self, case: Case) -> str:
        """Digest of what decides the prediction of a case, with its images as this process first saw them."""
        if case.name not in self._digests:
            images = "\n".join(map(_facts, case.images))
            self._digests[case.name] = digest_of(f"{self._job}\n{images}")
        return self._digests[case.name]


def _facts(image: Path | None) -> str:
    """What shows that an image is another one: its whole path, and size and time of its file or folder.

    Copies on the disks of several machines keep the time in whole seconds.
    """
    if image is None:
        return "None"
    path = Path.cwd() / image
    try:
        facts = split_choice(path)[0].stat()
    except (OSError, ValueError):
        # why it cannot be read is told when it is
        return str(path)
    return f"{path} {facts.st_size} {int(facts.st_mtime)}"


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

    Raises:
        InputError: a link stands in the place of a folder of marks.
    """
    folder, watch = output / FOLDER, Watch(patience)
    own = folder / f"taking_part_{secrets.token_hex(4)}"
    with ExitStack() as taking_part:
        with locked_briefly(folder, patience=patience):
            refuse_links(folder, job)
            if begins := not _others_live(folder, own, watch):
                begin(folder, job, lasting)
            note_what_lasts(folder, job, lasting)
            # what is written of a case is staged in the lock of the case
            taking_part.enter_context(locked_if_free(own, "predicting", watch, stages=False))
        if begins:
            remove_moved(output)
        shared = SharedOutput(folder, job, watch)
        try:
            yield shared
        finally:
            shared.close()
    ends = False
    with suppress(OSError), locked_briefly(folder, patience=patience):
        if ends := not lasts(folder) and not any(watch.living(place) for place in _places(folder)):
            move_away(folder)
    if ends:
        remove_moved(output)


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
