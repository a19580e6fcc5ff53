"""Which engine places the units of a run, and `work/engine.json`, which remembers it for `autoseg cancel`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Literal

from pydantic import ConfigDict

from autoseg.errors import InputError
from autoseg.files import FileModel, read_model, write_text
from autoseg.run_folder.predictions_folder import WorkFolder
from autoseg.work.state import State, units_left
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
    """

    engine: Name = "local"
    address: str | None = None
    retries: int = RETRIES
    slurm_options: tuple[str, ...] = ()
    dry_run: bool = False
    insecure: bool = False


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
    slurm_options: tuple[str, ...] = (),
    dry_run: bool = False,
    insecure: bool = False,
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
    ):
        if given and name not in where:
            raise InputError(f"{option}: is for --engine {' and '.join(where)} alone; give both, or neither")
    return Asked(found, address or None, RETRIES if retries is None else retries, slurm_options, dry_run, insecure)


def check_engine(run: WorkFolder, asked: Asked) -> None:
    """Check what can be checked before anything is written.

    Raises:
        InputError: an option of the engine is malformed, or the RUN folder is none for it.
    """
    _engine(asked.engine).options_of(run, asked)


def give_units(run: WorkFolder, asked: Asked) -> str | None:
    """Give every unit that is not done to an engine other than the local one.

    Returns:
        The scripts, where these alone were asked for.

    Raises:
        InputError: the engine is not at hand, or takes no unit.
    """
    module = _engine(asked.engine)
    units, options = units_left(run), module.options_of(run, asked)
    if asked.dry_run:
        return str(module.scripts_of(run, units, options))
    write_engine(run, asked.engine)
    module.submit(run, units, options)
    return None


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


def cancel_units(run: WorkFolder) -> tuple[str, ...] | None:
    """Take back what an engine was given, and stop what runs; None where this has to be done by hand.

    Returns:
        Names of the units that were taken back.
    """
    name = read_engine(run)
    if name is None or name == "local":
        return None
    taken_back = getattr(_engine(name), "cancel", None)
    return None if taken_back is None else tuple(taken_back(run))


def told_by_engine(run: WorkFolder, states: Mapping[Unit, State]) -> Mapping[str, str]:
    """Return what the engine tells of units; nothing where none has a queue.

    Args:
        run: RUN folder.
        states: units that are not done, and how far each is.

    Returns:
        A text for each unit of which something is told, keyed by its name.

    Raises:
        InputError: the engine is not at hand.
    """
    name = read_engine(run)
    tells = None if name is None or name == "local" else getattr(_engine(name), "in_queue", None)
    if tells is None or not states:
        return {}
    told: Mapping[str, str] = tells(run, states)
    return told


def _engine(name: Name) -> ModuleType:
    try:
        return import_module(f"autoseg.work.engines.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"autoseg.work.engines.{name}":
            raise
        raise InputError(f"--engine {name}: this release has none of this name; use --engine local") from None
