"""One byte of a finished RUN is turned: what reads it notices, or comes to the same results.

A kind of file is drawn first (weights, records, preprocessed voxels, …), then one of its files, then a byte, then a
command that reads such files.
"""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from autoseg.run_folder.paths import RunFolder
from tests.torture.commands import Ended, carry_out
from tests.torture.finished_run import (
    CASES,
    FIXED,
    OF_PLANNING,
    Made,
    contents,
    copy_run,
    differences,
    make_finished_run,
)
from tests.torture.outcome import Outcome

EDITABLE = ("plan.yaml", "splits.json", "selected.json")
"""Files that a person may edit: what a turned byte makes of them may be such an edit, which no command can tell."""

OF_STUDY = ("--sequences", "T1", "all", "--dimensions", "2d", "--folds", "2", "--time-budget", "60s", "--device", "cpu")
MISSING_FOLD = ("models/3d/fold_1", "selected.json")


@dataclass
class Reader:
    """Commands that read a RUN.

    Args:
        name: what they do.
        reads: beginnings of the paths of the files that they read.
        commands: the command lines, given the folder that holds the RUN.
        results: what they make in that folder, by the beginnings of the paths.
        without: what the RUN lacks before.
        expected: results on the RUN without damage; empty before they are known.
    """

    name: str
    reads: tuple[str, ...]
    commands: Callable[[Path], list[list[str | Path]]]
    results: tuple[str, ...]
    without: tuple[str, ...] = ()
    expected: dict[str, str] = field(default_factory=dict)


def attempts(folder: Path, seed: int) -> Iterator[Outcome]:
    """Turned bytes, without end."""
    rng = random.Random(seed)
    made = make_finished_run(folder)
    readers = _readers(made)
    work = folder / "turned"
    while True:
        reader = rng.choice(readers)
        run = _begin(made, reader, work)
        if not reader.expected:
            ended = _carry_out(reader, work)
            if ended.status != 0:
                raise RuntimeError(f"{reader.name} ended with status {ended.status}: {ended.said}")
            reader.expected = _results(reader, work)
            run = _begin(made, reader, work)
        file = _draw_file(run, reader, rng)
        told = _turn_a_byte(file, rng)
        turned = file.read_bytes()
        ended = _carry_out(reader, work)
        if file.exists() and file.read_bytes() == turned:
            # what a command leaves as it is is none of its results
            file.write_bytes(_undamaged(made, reader, file.relative_to(run.path)))
        yield _judged(reader, run, file, f"{reader.name}: {told}", ended, work)


def _begin(made: Made, reader: Reader, work: Path) -> RunFolder:
    """A copy of the RUN, or of a STUDY that is made when it is needed first."""
    shutil.rmtree(work, ignore_errors=True)
    source = _source(made, reader)
    if not source.exists():
        ended = carry_out("study", made.data, "-o", source, *OF_STUDY, *FIXED, log=made.folder / "log.txt")
        if ended.status != 0:
            raise RuntimeError(f"study ended with status {ended.status}: {ended.said}")
    return copy_run(RunFolder(source), work / "RUN", reader.without)


def _undamaged(made: Made, reader: Reader, inside: Path) -> bytes:
    """Content of a file of the RUN before its byte was turned."""
    return (_source(made, reader) / inside).read_bytes()


def _source(made: Made, reader: Reader) -> Path:
    return made.folder / "STUDY" if reader.name == "study" else made.run.path


def _readers(made: Made) -> list[Reader]:
    everywhere = ("plan", "splits", "dataset", "fingerprint", "time_spent", "selected", "step_costs")

    def predict(run: Path) -> list[str | Path]:
        return ["predict", run, "-i", made.new, "-o", run.parent / "out", "--threads", "1", "--save-probabilities"]

    def train(run: Path) -> list[str | Path]:
        return ["train", run, "--config", "3d", *FIXED]

    def evaluate(work: Path) -> list[list[str | Path]]:
        compared = ["--reference", made.data / "labelsTr", "--prediction", work / "RUN" / "cross_validation" / "3d"]
        return [["evaluate", *compared, "-o", work / "out", "--run", work / "RUN"]]

    tables = ("RUN/report/3d/metrics.csv", "RUN/report/3d/summary.json")
    return [
        Reader("predict", ("models", *everywhere), lambda work: [predict(work / "RUN")], ("out",)),
        Reader(
            "copy the models and predict",
            ("models", *everywhere),
            lambda work: [["copy", work / "RUN", "-o", work / "COPY", "--models-only"], predict(work / "COPY")],
            ("out",),
        ),
        Reader(
            "train the fold that is missing",
            ("preprocessed/3d", "models/3d", "cross_validation/3d", *everywhere),
            lambda work: [train(work / "RUN")],
            ("RUN/models/3d/fold_1", "RUN/cross_validation/3d", *tables),
            MISSING_FOLD,
        ),
        Reader(
            "preprocess and train the fold that is missing",
            ("preprocessed/3d", "models/3d", *everywhere),
            lambda work: [["plan-and-preprocess", made.data, "-o", work / "RUN"], train(work / "RUN")],
            ("RUN/models/3d/fold_1", *tables),
            MISSING_FOLD,
        ),
        Reader("evaluate", ("cross_validation/3d", "dataset", "plan"), evaluate, ("out",)),
        Reader(
            "select",
            ("cross_validation", "models", "preprocessed", *everywhere),
            lambda work: [["select", work / "RUN", "--threads", "1"]],
            ("RUN/selected.json",),
            ("selected.json",),
        ),
        Reader(
            "report again",
            ("cross_validation/3d", "models/3d", "preprocessed/3d", "report/3d", *everywhere),
            lambda work: [train(work / "RUN")],
            tables,
        ),
        Reader(
            "run again",
            ("",),
            lambda work: [["run", made.data, "-o", work / "RUN", *OF_PLANNING, *FIXED]],
            (*tables, "RUN/report/metrics.csv", "RUN/report/summary.json"),
        ),
        Reader(
            "study",
            ("",),
            lambda work: [["study", made.data, "-o", work / "RUN", *OF_STUDY, *FIXED]],
            ("RUN/study",),
        ),
    ]


def _draw_file(run: RunFolder, reader: Reader, rng: random.Random) -> Path:
    kinds: dict[str, list[Path]] = {}
    for path in sorted(run.path.rglob("*")):
        inside = path.relative_to(run.path).as_posix()
        if path.is_file() and path.stat().st_size and inside.startswith(reader.reads):
            kinds.setdefault(_kind(inside), []).append(path)
    return rng.choice(kinds[rng.choice(sorted(kinds))])


def _kind(inside: str) -> str:
    """What a file is, from its path in the RUN without the names of cases, folds and configurations."""
    inside = re.sub("|".join(CASES), "CASE", inside)
    inside = re.sub(r"fold_\d", "fold", inside)
    return re.sub(r"^(preprocessed|models|cross_validation|report)/[^/]+/", r"\1/CONFIG/", inside)


def _turn_a_byte(file: Path, rng: random.Random) -> str:
    content = bytearray(file.read_bytes())
    place, turned = rng.randrange(len(content)), rng.randrange(1, 256)
    before = content[place]
    content[place] ^= turned
    file.write_bytes(content)
    return f"{file}: byte {place} of {len(content)}, {before:#04x} to {content[place]:#04x}"


def _carry_out(reader: Reader, work: Path) -> Ended:
    ended = Ended(0, "")
    for number, command in enumerate(reader.commands(work)):
        ended = carry_out(*command, log=work / f"log_{number}.txt")
        if ended.status != 0:
            return ended
    return ended


def _results(reader: Reader, work: Path) -> dict[str, str]:
    return contents(work, reader.results)


def _judged(reader: Reader, run: RunFolder, file: Path, what: str, ended: Ended, work: Path) -> Outcome:
    if not ended.is_clean:
        return Outcome(what, "fault", f"status {ended.status}: {ended.said[-1500:]}")
    if ended.status != 0:
        inside = file.relative_to(run.path)
        # the models may have been copied, and the folder of a case or a fold says enough
        named = (inside, *inside.parents[:-2]) if len(inside.parts) > 2 else (inside,)
        is_named = any(str(path) in ended.said for path in named)
        return Outcome(what, "right" if is_named else "fault", ended.said[-600:])
    try:
        found = differences(reader.expected, _results(reader, work))
    except ValueError as error:
        found = [f"a result is damaged: {error}"]
    if not found:
        return Outcome(what, "right", "the same results")
    is_edit = file.relative_to(run.path).as_posix() in EDITABLE
    return Outcome(what, "apart" if is_edit else "fault", f"{'; '.join(found)}: {ended.said[-600:]}")
