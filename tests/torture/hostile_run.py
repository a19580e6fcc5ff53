"""A RUN folder by a hostile hand, by enumeration: `python -m tests.torture.hostile_run`.

Into every text field of every file that is read a path that leads out is put, and in place of every file and folder a
link that leads out, a folder or a file, one at a time. The commands that meet it run. Nothing outside may change,
nothing private may come in or be printed, no code may run, and no command may end in a traceback.

python -m tests.torture.hostile_run                    everything
python -m tests.torture.hostile_run links --every 10   every tenth link
"""

from __future__ import annotations

import argparse
import gzip
import io
import itertools
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from autoseg.commands.cli import status_of
from tests.torture.hostile_arrays import HOSTILE
from tests.torture.hostile_fields import mend_checksums, one_of_each, text_fields
from tests.torture.hostile_template import Template, make_template, small_and_quick
from tests.torture.outcome import Outcome

SECRET = b"a letter to Mrs Smith"
PLANTED = (
    "selected.former.json",
    ".plan.as_planned.next.yaml",
    "report/strata.csv",
    "models/3d/fold_0/checkpoint",
    "models/2d/fold_1/checkpoint/step_00000002",
    "models/3d/fold_2",
    "models/2.5d",
    "preprocessed/2.5d",
    "preprocessed/3d/ball_9",
    "cross_validation/2.5d",
    "study",
)
"""What is not in a finished RUN, and would be written or looked for."""

LOCKS = {
    ".plan.yaml.held": "folder/letter.txt",
    ".time_spent.json.held": "folder/sub/letter.txt",
    "preprocessed/.3d.held": "folder.json",
    "models/3d/.fold_1.held": "folder.b2nd",
}
"""Locks of a RUN, and the private file that each becomes a second name of."""

FOLLOWING = "--follow-links"
QUICK = ("--device", "cpu", "--threads", "1")
WORK = ("--workers", "1")
EPOCHS = ("--epochs", "1")


@dataclass(frozen=True)
class Attack:
    """One change of a RUN or STUDY folder.

    Args:
        kind: `fields`, `links`, `swaps`, `arrays` or `others`.
        what: the change in words.
        apply: makes it, in the copied folder; it is also given the folder of what is private.
        commands: names of the commands that meet it.
        options: options that are added to each of them.
        study: whether the change is made in the STUDY.
    """

    kind: str
    what: str
    apply: Callable[[Path, Path], None]
    commands: tuple[str, ...]
    options: tuple[str, ...] = ()
    study: bool = False


def arguments(command: str, run: Path, data: Path, out: Path) -> list[str]:
    """Arguments of a command of `COMMANDS`."""
    images, labels = data / "imagesTr" / "ball_0_0000.nii.gz", data / "labelsTr"
    forms = {
        "train": ["train", run, *QUICK, *EPOCHS],
        "train anew": ["train", run, "--fold", "1", *QUICK, *EPOCHS],
        "run": ["run", data, "-o", run, "--config", "2d", "3d", *QUICK, *EPOCHS, *WORK],
        "plan-and-preprocess": ["plan-and-preprocess", data, "-o", run, *WORK],
        "select": ["select", run, "--threads", "1", *WORK],
        "predict": ["predict", run, "-i", images, "-o", out / "predicted", "--save-probabilities", *QUICK],
        "evaluate": [
            "evaluate",
            "--reference",
            labels,
            "--prediction",
            labels,
            "-o",
            out / "report",
            "--run",
            run,
            *WORK,
        ],
        "copy": ["copy", run, "-o", out / "copy"],
        "copy models": ["copy", run, "-o", out / "models", "--models-only"],
        "study": ["study", data, "-o", run, "--sequences", "all", "--dimensions", "2d", "3d", *QUICK, *EPOCHS, *WORK],
    }
    return [str(argument) for argument in forms[command]]


ALL = ("copy", "copy models", "evaluate", "predict", "select", "plan-and-preprocess", "train", "run")
MEETING = {
    "plan": ALL,
    "dataset.json": ("copy models", "plan-and-preprocess", "train", "run"),
    "fingerprint.json": ("copy models", "plan-and-preprocess", "run"),
    "splits": ("select", "train", "run"),
    "time_spent.json": ("plan-and-preprocess", "train", "run"),
    "step_costs.json": ("run",),
    "selected.json": ("copy models", "predict", "run"),
    "models/": ("copy models", "predict", "select", "train", "run"),
    "preprocessed/": ("plan-and-preprocess", "train anew", "run"),
    "cross_validation/": ("select", "run"),
    "report/": ("train", "run"),
    "study/": ("study",),
}
"""The commands that read a file, by the beginning of its path."""


def meeting(file: Path) -> tuple[str, ...]:
    """The commands that read a file of a RUN folder."""
    return next((commands for start, commands in MEETING.items() if file.as_posix().startswith(start)), ALL)


def attacks(template: Template) -> Iterator[Attack]:
    """Every attack, kind by kind."""
    yield from _on_fields(template.run, study=False)
    yield from _on_fields(template.study, study=True)
    for folder, study in ((template.run, False), (template.study, True)):
        commands = ("study",) if study else ALL
        for path in (*one_of_each(folder), *(() if study else map(Path, PLANTED))):
            yield Attack("links", f"{path} is a link to elsewhere", _Moved(path), commands, study=study)
        for path in one_of_each(folder):
            found = ("study",) if study else meeting(path)
            yield Attack("swaps", f"{path} is a folder or a file", _Swapped(path), found, study=study)
    for kind in HOSTILE:
        for file in ("preprocessed/3d/ball_1/image.b2nd", "cross_validation/3d/probabilities/ball_1.b2nd"):
            yield Attack("arrays", f"{file} is a Blosc2 {kind}", _Array(Path(file), kind), meeting(Path(file)))
    yield from _others()


def _on_fields(run: Path, *, study: bool) -> Iterator[Attack]:
    for field in text_fields(run):
        commands = ("study",) if study else meeting(field.file)
        for way, options in (("absolute", (FOLLOWING,)), ("dotted", ())):
            change = _Text(field.file, field.put, way)
            yield Attack("fields", f"{field.file}: {field.name} is {way}", change, commands, options, study)


@dataclass(frozen=True)
class _Text:
    file: Path
    put: Callable[[Path, str], None]
    way: str

    def __call__(self, run: Path, private: Path) -> None:
        target = private / "folder"
        self.put(run / self.file, str(target) if self.way == "absolute" else "../" * 12 + str(target)[1:])


@dataclass(frozen=True)
class _Moved:
    """The entry lies outside, and a link to it in its place; where there was none, a link to a private folder."""

    path: Path

    def __call__(self, run: Path, private: Path) -> None:
        here, there = run / self.path, private / "folder" / self.path.name
        here.parent.mkdir(parents=True, exist_ok=True)
        if here.exists():
            shutil.move(here, there)
        elif here.suffix:
            there.write_bytes(SECRET)
        else:
            there.mkdir()
            (there / "letter.txt").write_bytes(SECRET)
        here.symlink_to(there)


@dataclass(frozen=True)
class _Swapped:
    path: Path

    def __call__(self, run: Path, private: Path) -> None:
        here = run / self.path
        if here.is_dir():
            shutil.rmtree(here)
            here.write_bytes(b"no folder")
        else:
            here.unlink()
            here.mkdir()
            (here / "a.txt").write_bytes(b"a file")


@dataclass(frozen=True)
class _Array:
    file: Path
    kind: str

    def __call__(self, run: Path, private: Path) -> None:
        (run / self.file).unlink()
        HOSTILE[self.kind](run / self.file)
        with suppress(IsADirectoryError):
            mend_checksums(run / self.file)


def _others() -> Iterator[Attack]:
    def loop(run: Path, private: Path) -> None:
        (run / "models" / "loop").symlink_to("..")
        for a, b in (("a", "b"), ("b", "a")):
            (run / a).mkdir()
            for i in range(3):
                (run / a / str(i)).symlink_to(f"../{b}")

    def pipe(run: Path, private: Path) -> None:
        (run / "selected.json").unlink()
        os.mkfifo(run / "selected.json")

    def folds(run: Path, private: Path) -> None:
        for number in ("1000000000", "-1", "00", "1e9", "٣", "9" * 200):
            shutil.copytree(run / "models" / "3d" / "fold_0", run / "models" / "3d" / f"fold_{number}")

    def steps(run: Path, private: Path) -> None:
        for name in ("step_", "step_-1", "step_x", "step_٣", "step_" + "9" * 200):
            (run / "models" / "3d" / "fold_1" / "checkpoint" / name).mkdir(parents=True)

    def modules(run: Path, private: Path) -> None:
        for name in ("pickle", "signal", "socket", "numpy", "torch", "blosc2_grok", "sitecustomize", "usercustomize"):
            (run / f"{name}.py").write_text(f"open({str(private.parent / 'ran')!r}, 'w')\n", encoding="utf-8")
        (run / "matplotlibrc").write_text("text.usetex: True\nbackend: module://numpy\n", encoding="utf-8")

    def second_names(run: Path, private: Path) -> None:
        for lock, file in LOCKS.items():
            (run / lock).hardlink_to(private / file)

    def planted_locks(run: Path, private: Path) -> None:
        for lock, file in LOCKS.items():
            holder = run / lock / "00000000.1.1.00000000"
            holder.mkdir(parents=True)
            (holder / "alive").hardlink_to(private / file)

    for apply, commands in (
        (loop, ALL),
        (pipe, ALL),
        (folds, ALL),
        (steps, ("train anew", "run")),
        (modules, ("train anew", "predict", "select", "run")),
        (second_names, (*ALL, "train anew")),
        (planted_locks, ALL),
    ):
        yield Attack("others", apply.__name__.replace("_", " "), apply, commands)


def carried_out(attack: Attack, template: Template, folder: Path) -> Outcome:
    """Carry out an attack in an empty folder, run the commands, and tell what became of what is outside."""
    run, private, out = folder / "run", folder / "private", folder / "out"
    shutil.copytree(template.study if attack.study else template.run, run)
    (private / "folder" / "sub").mkdir(parents=True)
    for name in ("folder/letter.txt", "folder/sub/letter.txt", "folder.json", "folder.nii.gz", "folder.b2nd"):
        (private / name).write_bytes(SECRET)
    out.mkdir()
    if "train anew" in attack.commands:
        for name in ("finished.json", "weights.safetensors"):
            (run / "models" / "3d" / "fold_1" / name).unlink()
    attack.apply(run, private)
    before, printed, faults = _state(private), io.StringIO(), list[str]()
    for command in attack.commands:
        given = arguments(command, run, template.data, out)
        ending = _ending([*given, *attack.options], run, printed)
        if "Traceback" in ending or (attack.kind == "links" and ending != "2"):
            faults.append(f"{command} ended with {ending}")
        if _state(private) != before:
            faults.append(f"{command} changed what is outside")
            before = _state(private)
        if (folder / "ran").exists() or (run / "ran").exists():
            faults.append(f"{command} ran code")
            (folder / "ran").unlink(missing_ok=True)
    if SECRET.decode() in printed.getvalue() or any(_tells(path) for part in (run, out) for path in _files(part)):
        faults.append("something private came in")
    return Outcome(attack.what, "fault" if faults else "right", "; ".join(faults))


def _ending(given: list[str], run: Path, printed: io.StringIO) -> str:
    """Exit status of a command that runs with the RUN folder as the current one, or the end of its traceback."""
    former = Path.cwd()
    os.chdir(run)
    try:
        with redirect_stdout(printed), redirect_stderr(printed):
            return str(status_of(given))
    except Exception as error:
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        where = "" if place is None else f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}"
        return f"Traceback: {type(error).__name__}: {str(error)[:200]} ({where})"
    finally:
        os.chdir(former)


def _state(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Time, size and content of everything in a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        facts = path.lstat()
        found[str(path)] = (facts.st_mtime_ns, facts.st_size, path.read_bytes() if path.is_file() else b"")
    return found


def _files(folder: Path) -> Iterator[Path]:
    """Files of a folder that are its own: no links, and no second names of other files."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.lstat().st_nlink == 1:
            yield path


def _tells(path: Path) -> bool:
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        with suppress(OSError, EOFError):
            content = gzip.decompress(content)
    return SECRET in content


KINDS = ("fields", "links", "swaps", "arrays", "others")


def outcomes(
    folder: Path, template: Template, kinds: tuple[str, ...] = KINDS, every: int = 1, first: int = 0
) -> Iterator[tuple[Attack, Outcome]]:
    """Carry out every so manieth attack of the kinds, from a first one on.

    Args:
        folder: folder to work in.
        template: the finished RUN and STUDY, which are copied.
        kinds: some of `KINDS`.
        every: one attack of so many is carried out.
        first: number of the first one.
    """
    wanted = (attack for attack in attacks(template) if attack.kind in kinds)
    with small_and_quick(), mock.patch("signal.signal"):
        for attack in itertools.islice(wanted, first, None, every):
            with tempfile.TemporaryDirectory(dir=folder) as place:
                yield attack, carried_out(attack, template, Path(place))


def main() -> int:
    """Carry out the attacks that were asked for; print faults and counts. The exit status is 1 after a fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture.hostile_run", description=__doc__)
    parser.add_argument("kinds", nargs="*", help=f"some of {', '.join(KINDS)}; all if none is named")
    parser.add_argument("--every", type=int, default=1, help="carry out one of so many")
    parser.add_argument("--first", type=int, default=0, help="number of the first one")
    given = parser.parse_args()
    counts, commands = Counter[str](), Counter[str]()
    with tempfile.TemporaryDirectory(prefix="hostile-run-") as folder:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            template = make_template(Path(folder))
        found = outcomes(Path(folder), template, tuple(given.kinds) or KINDS, given.every, given.first)
        for attack, outcome in found:
            counts[f"{attack.kind} {outcome.verdict}"] += 1
            commands.update(attack.commands)
            if outcome.verdict == "fault":
                print(f"{attack.kind}: {outcome.what}\n    {outcome.ending}", flush=True)
    print(", ".join(f"{count} {name}" for name, count in sorted(counts.items())))
    print("commands: " + ", ".join(f"{count} {name}" for name, count in sorted(commands.items())))
    return int(any(name.endswith("fault") for name in counts))


if __name__ == "__main__":
    sys.exit(main())
