"""Which engine places the units of a run, and `work/engine.json`, which remembers it for `autoseg cancel`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol, cast

from pydantic import ConfigDict

from autoseg.errors import InputError
from autoseg.files import FileModel, read_model, write_text
from autoseg.run_folder.lock import locked, locked_in_turn
from autoseg.run_folder.predictions_folder import WorkFolder
from autoseg.work.state import State
from autoseg.work.unit import Unit

Name = Literal["local", "slurm", "ray"]
RETRIES = 2
ENGINES: tuple[Name, ...] = ("local", "slurm", "ray")


@dataclass(frozen=True)
class Asked:
    """What a person asked of an engine.

    Args:
        engine: name of the engine.
        address: address of a Ray cluster that is there; None = one is started.
        retries: number of times that a unit is tried again which failed.
        slurm_options: options that are passed on to sbatch, as `KEY=VALUE`.
        dry_run: print what would be sent, and send nothing.
        insecure: use a cluster that lets anybody in.
        at_once: number of folds that are trained at the same time; None = all of them.
    """

    engine: Name = "local"
    address: str | None = None
    retries: int = RETRIES
    slurm_options: tuple[str, ...] = ()
    dry_run: bool = False
    insecure: bool = False
    at_once: int | None = None


class EngineModule(Protocol):
    """What each module in `engines` has; its options are of a type of its own."""

    def options_of(self, run: WorkFolder, asked: Asked, /) -> Any:
        """Check what a person asked of this engine."""

    def submit(self, run: WorkFolder, units: Sequence[Unit], options: Any, /) -> None:
        """Take units that are not done."""

    def held(self, run: WorkFolder, /) -> tuple[str, ...]:
        """Names of the units that it was given and that have not ended, so that they may still begin."""

    def in_queue(self, run: WorkFolder, states: Mapping[Unit, State], /) -> Mapping[str, str]:
        """What is told of units that are not done, keyed by their names."""

    def cancel(self, run: WorkFolder, /) -> tuple[str, ...]:
        """Take back and stop all that it was given, and return the names of those units."""


class PrintsScripts(EngineModule, Protocol):
    """An engine with `--dry-run`."""

    def scripts_of(
        self,
        run: WorkFolder,
        units: Sequence[Unit],
        options: Any,
        /,
        *,
        written: Mapping[Path, str],
        removed: Sequence[Path] = (),
        follow_links: bool,
    ) -> str:
        """A script that does what `submit` would do, with what is written down and removed before it."""


class EngineRecord(FileModel):
    """Content of `work/engine.json`; what an engine adds for itself is kept for it.

    Args:
        engine: name of the engine that the units were last given to.
    """

    model_config = ConfigDict(extra="ignore")

    engine: Name


def asked_of(
    engine: str,
    *,
    retries: int | None = None,
    slurm_options: Sequence[str] | None = None,
    dry_run: bool = False,
    insecure: bool = False,
    at_once: int | None = None,
) -> Asked:
    """Check the options about engines together.

    Raises:
        InputError: there is no such engine, or it has no such option.
    """
    name, _, address = engine.partition("=")
    found = next((known for known in ENGINES if known == name), None)
    if found is None or (address and name != "ray"):
        raise InputError(f"--engine {engine}: unknown; there are local, slurm, ray and ray=ADDRESS")
    for option, given, where in (
        ("--slurm-option", bool(slurm_options), ("slurm",)),
        ("--dry-run", dry_run, ("slurm",)),
        ("--insecure", insecure, ("ray",)),
        ("--retries", retries is not None, ("slurm", "ray")),
        ("--at-once", at_once is not None, ("slurm", "ray")),
    ):
        if given and name not in where:
            raise InputError(f"{option}: is for --engine {' and '.join(where)} alone; give both, or neither")
    retries = RETRIES if retries is None else retries
    return Asked(found, address or None, retries, tuple(slurm_options or ()), dry_run, insecure, at_once)


def check_engine(run: WorkFolder, asked: Asked) -> None:
    """Check what can be checked before anything is written.

    Raises:
        InputError: an option of the engine is malformed, or the RUN folder is none for it.
    """
    _engine(asked.engine).options_of(run, asked)


def require_at_hand(run: WorkFolder, engine: Name) -> None:
    """Ask an engine for what it holds of a run, to see whether it answers here.

    Raises:
        InputError: it does not, so that nothing is sent.
    """
    try:
        _engine(engine).in_queue(run, {})
    except InputError as error:
        raise InputError(f"{error}\nNothing was sent; once this is mended, give the command again") from None


@contextmanager
def giving(run: WorkFolder, engine: Name, *, waits: bool = False) -> Iterator[None]:
    """Keep other processes from writing down what they ask for, and giving it to an engine, while the block does so.

    Args:
        run: RUN folder, or folder of predictions.
        engine: engine that units are given to.
        waits: whether to wait until another process has done so.

    Raises:
        LockedByAnother: another process does so here now; nothing of this one is written or sent.
    """
    doing = "writing down what was asked for" if engine == "local" else f"giving units of work to {engine}"
    with locked_in_turn(run.request, doing) if waits else locked(run.request, doing):
        yield


def give_units(run: WorkFolder, asked: Asked, units: Sequence[Unit]) -> None:
    """Give units that are not done to an engine other than the local one, which is at hand.

    Raises:
        InputError: the engine takes no unit.
    """
    module = _engine(asked.engine)
    options = module.options_of(run, asked)
    write_engine(run, asked.engine)
    module.submit(run, units, options)


def scripts_of_units(
    run: WorkFolder,
    asked: Asked,
    units: Sequence[Unit],
    *,
    written: Mapping[Path, str],
    removed: Sequence[Path] = (),
    follow_links: bool,
) -> str:
    """Return a script that gives units to an engine, with all that is written down before; nothing is written here.

    Args:
        run: RUN folder, or folder of predictions.
        asked: the engine and its options.
        units: units that are not done.
        written: text of each file in RUN from which the units know what to do, in ASCII.
        removed: files in RUN that the script removes, as those by which something counts as done that is not any more.
        follow_links: whether links in the RUN folder may lead out of it.
    """
    module = cast("PrintsScripts", _engine(asked.engine))
    options = module.options_of(run, asked)
    return module.scripts_of(run, units, options, written=written, removed=removed, follow_links=follow_links)


def write_engine(run: WorkFolder, name: Name) -> None:
    """Write down who places the units of a run from now on."""
    write_text(run.engine, record_of(name))


def record_of(name: Name) -> str:
    """Content of `work/engine.json`, on one line."""
    return EngineRecord(engine=name).model_dump_json()


def read_engine(run: WorkFolder) -> Name | None:
    """Read who places the units of a run; None where they were never given to an engine.

    Raises:
        RunFolderError: the file is malformed.
    """
    record = read_model(run.engine, EngineRecord, "delete it: it says only who places the units")
    return None if record is None else record.engine


def held_by_engine(run: WorkFolder) -> tuple[str, ...]:
    """Names of the units that were given to an engine and have not ended; nothing where none places them.

    Raises:
        InputError: the engine is not at hand, so that this is not known here.
    """
    name = read_engine(run)
    return () if name is None or name == "local" else tuple(_engine(name).held(run))


def cancel_units(run: WorkFolder) -> tuple[str, ...] | None:
    """Take back what an engine was given, and stop what runs; None where no engine was given anything.

    Returns:
        Names of the units that were taken back.
    """
    name = read_engine(run)
    return None if name is None or name == "local" else tuple(_engine(name).cancel(run))


def told_by_engine(run: WorkFolder, states: Mapping[Unit, State]) -> Mapping[str, str]:
    """Return what the engine tells of units; nothing where none has a queue.

    Args:
        run: RUN folder, or folder of predictions, whose units are told of.
        states: units that are not done, and how far each is.

    Returns:
        A text for each unit of which something is told, keyed by its name.

    Raises:
        InputError: the engine is not at hand.
    """
    name = read_engine(run)
    return {} if name is None or name == "local" or not states else _engine(name).in_queue(run, states)


def _engine(name: Name) -> EngineModule:
    try:
        return cast("EngineModule", import_module(f"autoseg.work.engines.{name}"))
    except ModuleNotFoundError as error:
        if error.name != f"autoseg.work.engines.{name}":
            raise
        raise InputError(f"--engine {name}: this release has none of this name; use --engine local") from None
