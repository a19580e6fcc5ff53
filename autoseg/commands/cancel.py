"""`autoseg cancel`: takes a run back from the engine that it was given to."""

from __future__ import annotations

from autoseg.commands.command import command
from autoseg.commands.folder_with_units import folder_with_units
from autoseg.commands.options import AnyRun, FollowLinks
from autoseg.terminal import open_console
from autoseg.work.engine import cancel_units
from autoseg.work.state import States
from autoseg.work.units import units_of


@command
def cancel(run: AnyRun, *, follow_links: FollowLinks = False) -> None:
    """Stop what `autoseg run`, `study` or `predict` gave to an engine; what is finished is kept.

    Of processes that no engine began, this tells how to stop them.

    Raises:
        RunFolderError: the folder is no RUN folder.
        InputError: the engine is not at hand.
    """
    folder, console = folder_with_units(run, follow_links=follow_links), open_console()
    taken_back = cancel_units(folder)
    if taken_back is not None:
        told = f"Taken back: {', '.join(taken_back)}" if taken_back else "Nothing was left to take back"
        console.print(f"{told}. The same command goes on.", soft_wrap=True)
    states, others = States(folder), [unit for unit in units_of(folder) if unit.name not in (taken_back or ())]
    running = [(unit.name, state) for unit in others if (state := states.of(unit)).word == "running"]
    if not running and taken_back is None:
        console.print("No process works on this run.")
    for name, state in running:
        console.print(
            f"{name}: {state.where}; end it there with Ctrl-C, or `kill` with its number: it saves its state, and the "
            "same command goes on",
            soft_wrap=True,
        )
