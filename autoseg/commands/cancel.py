"""`autoseg cancel`: takes a run back from the engine that it was given to."""

from __future__ import annotations

from autoseg.commands.guards import require_requested_run
from autoseg.commands.options import AnyRun, FollowLinks, command
from autoseg.terminal import open_console
from autoseg.work.engine import cancel_units
from autoseg.work.state import States
from autoseg.work.units import units_of


@command
def cancel(run: AnyRun, *, follow_links: FollowLinks = False) -> None:
    """Stop what `autoseg run` gave to an engine; what is finished is kept.

    Where no engine has the run, this tells how to stop the processes that work on it.

    Raises:
        RunFolderError: the folder is no RUN folder.
        InputError: the engine is not at hand.
    """
    folder, console = require_requested_run(run, follow_links=follow_links), open_console()
    taken_back = cancel_units(folder)
    if taken_back is not None:
        told = ", ".join(taken_back) or "nothing was left"
        console.print(f"Taken back: {told}. `autoseg run` with the same options goes on.", soft_wrap=True)
        return
    states = States(folder)
    running = [(unit.name, state) for unit in units_of(folder) if (state := states.of(unit)).word == "running"]
    if not running:
        console.print("No process works on this run.")
    for name, state in running:
        console.print(
            f"{name}: {state.where}; end it there with Ctrl-C, or `kill` with its number: it saves its state, and the "
            "same command goes on",
            soft_wrap=True,
        )
