"""Calls of Slurm, answered by stand-ins that print what Slurm 22.05 prints."""

import os
import shutil
from pathlib import Path

import pytest

from autoseg.errors import InputError
from autoseg.run_folder.paths import RunFolder
from autoseg.work.engines import slurm_commands
from autoseg.work.engines.slurm_commands import QueuedJob


@pytest.fixture
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts a program in the place of a command of Slurm."""

    def answer(command: str, does: str) -> None:
        program = tmp_path / "bin" / command
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!{shutil.which('bash')}\n{does}\n", encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    return answer


def test_a_job_is_sent_with_what_it_waits_for(answers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # a job that was put back into the queue sends others, whose turns begin anew
    monkeypatch.setenv("SLURM_RESTART_COUNT", "2")
    monkeypatch.setenv("SLURM_CONF", "/etc/here")
    answers(
        "sbatch",
        f'cat > "{tmp_path}/script"; echo "$@" "$SLURM_RESTART_COUNT" $SLURM_CONF > "{tmp_path}/given"; echo "7;big"',
    )
    assert slurm_commands.send("#!/bin/bash\n", ["5", "6_1"]) == "7"
    assert (tmp_path / "script").read_text(encoding="utf-8") == "#!/bin/bash\n"
    given = (tmp_path / "given").read_text(encoding="utf-8")
    assert given == "--parsable --dependency=afterok:5:6_1  /etc/here\n"
    assert slurm_commands.dependency(["5"], ["6", "7_1"]) == "afterok:5,afterany:6:7_1"
    assert slurm_commands.dependency([], ["6"]) == "afterany:6"


def test_jobs_are_found_by_their_folder_and_name(answers, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "a|b")
    lines = [
        f"14|3|PENDING||Resources|train-3d-fold_%a|{run.path}",
        f"14|0|RUNNING|node1|None|train-3d-fold_%a|{run.path}",
        f"15|N/A|PENDING||Dependency|report-3d|{run.path}",
        f"18|N/A|PENDING||Priority|report-3d|{run.path}",
        f"16|N/A|PENDING||Priority|report-3d|{tmp_path}/another",
        # another job of this user, whose name holds a sign and a line break
        "17|N/A|PENDING||Priority|a|b",
        "c|/home",
    ]
    answers("squeue", "\n".join(f"echo '{line}'" for line in lines))
    assert slurm_commands.queued(run) == {
        "train-3d-fold_3": QueuedJob("14_3", "PENDING", "", "Resources"),
        "train-3d-fold_0": QueuedJob("14_0", "RUNNING", "node1", "None"),
        "report-3d": QueuedJob("18", "PENDING", "", "Priority"),
    }
    # one that was sent twice has two jobs
    assert [job.id for _, job in slurm_commands.every_queued(run)] == ["14_3", "14_0", "15", "18"]


def test_what_slurm_says_is_told(answers) -> None:
    answers("sbatch", "echo 'sbatch: error: invalid partition specified: gpu' >&2; exit 1")
    with pytest.raises(InputError, match="invalid partition specified: gpu"):
        slurm_commands.send("", [])


def test_a_machine_that_no_cluster_is_set_up_on_says_where_to_go(answers) -> None:
    answers("sbatch", "echo 'sbatch: fatal: Could not establish a configuration source' >&2; exit 1")
    with pytest.raises(InputError, match=r"^sbatch: fatal: Could not .*\nNo cluster is set up here: use a login node"):
        slurm_commands.send("", [])


def test_a_machine_without_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="squeue is not found; --engine slurm is for a machine with Slurm's commands"):
        slurm_commands.queued(RunFolder(tmp_path))
