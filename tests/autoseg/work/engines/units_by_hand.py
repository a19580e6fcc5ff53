"""Units of a run as a plan would make them, written by hand."""

from pathlib import Path

from autoseg.run_folder.paths import RunFolder
from autoseg.work.engines.slurm_jobs import Job
from autoseg.work.engines.slurm_script import SlurmOptions, script_of
from autoseg.work.unit import Kind, Needs, Unit

UNKNOWN = Needs(cores=2, memory_bytes=None, gpus=0, seconds=None)
GPU = Needs(cores=4, memory_bytes=5 * 2**30, gpus=1, seconds=3000.0)

PREPARE = tuple(Unit(f"prepare-3d-{k}of2", "prepare", UNKNOWN, ("plan",)) for k in range(2))
TRAIN = tuple(Unit(f"train-3d-fold_{k}", "train", GPU, ("prepare-3d-0of2", "prepare-3d-1of2")) for k in range(5))
REPORT = Unit("report-3d", "report", UNKNOWN, tuple(unit.name for unit in TRAIN))
ALL = (Unit("plan", "plan", UNKNOWN, ()), *PREPARE, *TRAIN, REPORT)


def job(name: str = "report-3d", kind: Kind = "report", numbers: tuple[int, ...] = (), needs: Needs = GPU) -> Job:
    return Job(before=name, after="", numbers=numbers, needs=needs, kind=kind, waits_for=())


def directives(folder: Path, of: Job, *, retries: int = 3, **passed_on: str) -> list[str]:
    """Options of sbatch in a job's script."""
    script = script_of(
        RunFolder(folder), of, SlurmOptions(retries, {k.replace("_", "-"): v for k, v in passed_on.items()})
    )
    return [line.removeprefix("#SBATCH --") for line in script.splitlines() if line.startswith("#SBATCH")]
