"""What is said when a command was stopped: what exists by then, and what the same command will do."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cyclopts import App, CycloptsError

from autoseg.early_stop import STOPPED
from autoseg.errors import AutosegError
from autoseg.names import visible
from autoseg.run_folder.paths import RunFolder

IN_A_RUN = {
    "demo": "output",
    "plan_and_preprocess": "output",
    "run": "output",
    "select": "run",
    "study": "output",
    "train": "run",
}
"""Commands that go on in a RUN folder, and the argument that names it."""

AT_THE_END = ("copy", "evaluate", "phantom", "table")
"""Commands whose result appears at their end."""


def stopped_message(app: App, arguments: Sequence[str] | None) -> str:
    """Return what is said after a command was stopped.

    Args:
        app: the command-line application, which knows the options of the command.
        arguments: command-line arguments without the program's name; None = those of this process.
    """
    try:
        command, bound, _ = app.parse_args(arguments, exit_on_error=False, print_error=False)
    except CycloptsError:
        return STOPPED
    bound.apply_defaults()
    name, given = getattr(command, "__name__", ""), bound.arguments
    # the folder may have been removed, or may not be looked into, or its table is another one
    with suppress(OSError, AutosegError):
        if name in IN_A_RUN:
            folder = Path(str(given[IN_A_RUN[name]]))
            return _of_run(folder / "run" if name == "demo" else folder)
        if name == "predict":
            goes_on = bool(given["skip_existing"]) or given["engine"] != "local"
            return _of_predictions(Path(str(given["output"])), goes_on=goes_on)
        if name in AT_THE_END:
            return f"Stopped. {_shown(given['output'])} is as it was; the same command begins at the start."
    return STOPPED


def _of_run(folder: Path) -> str:
    if made := _made(RunFolder(folder)):
        return f"Stopped. {_shown(folder)} holds {', '.join(made)}; the same command goes on from there."
    return f"Stopped. Nothing is made yet in {_shown(folder)}; the same command begins at the start."


def _made(run: RunFolder) -> list[str]:
    """The results of the stages in a RUN folder, in words."""
    made = ["the checked and measured data set"] if run.dataset.exists() else []
    made += ["the plan"] if run.plan.exists() else []
    cases = {path.name for path in (run.path / "preprocessed").glob("*/*") if not path.name.startswith(".")}
    made += [_count(len(cases), "preprocessed case")] if cases else []
    for name in run.configurations_with_models():
        finished = [fold for fold, _ in run.folds(name) if run.is_finished(name, fold)]
        begun = [fold for fold, _ in run.begun_folds(name) if fold not in finished]
        made += [_count(len(finished), f"finished fold of {visible(name)}")] if finished else []
        made += [f"the begun fold {fold} of {visible(name)}" for fold in begun]
    return made


def _of_predictions(folder: Path, *, goes_on: bool) -> str:
    # imported here, since other commands do not need it
    from inference.measurements.table import read_lines

    # a case whose rows are there is done, also for --skip-existing
    count = len({line.case for line in read_lines(folder)})
    if count == 0:
        return f"Stopped. Nothing is predicted yet in {_shown(folder)}; the same command begins at the start."
    then = (
        "the same command goes on with the others"
        if goes_on
        else "the same command predicts all of them again; with --skip-existing it goes on with the others"
    )
    return f"Stopped. {_shown(folder)} holds {_count(count, 'predicted case')}; {then}."


def _count(number: int, what: str) -> str:
    first, _, rest = what.partition(" of ")
    return f"{number} {first}{'' if number == 1 else 's'}{f' of {rest}' if rest else ''}"


def _shown(path: object) -> str:
    return visible(str(path))
