"""Scripts of jobs: their options as text, and what they do, by bash with a stand-in for autoseg and for scontrol."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from autoseg.errors import InputError
from autoseg.run_folder.paths import RunFolder
from autoseg.work.engines.slurm_jobs import Job, jobs_of
from autoseg.work.engines.slurm_script import SlurmOptions, script_of, time_limit
from tests.autoseg.work.engines.units_by_hand import PREPARE, UNKNOWN, directives, job

FOLDS = job("train-3d-fold_", "train", numbers=(0, 3))


def test_needs_become_options(tmp_path: Path) -> None:
    assert directives(tmp_path / "100% x", FOLDS) == [
        "job-name=train-3d-fold_%a",
        "array=0,3",
        "cpus-per-task=4",
        "mem=5120M",
        "gres=gpu:1",
        "time=0-01:25:00",
        "signal=B:USR1@120",
        f'chdir="{tmp_path}/100% x"',
        f'output="{tmp_path}/100%% x/work/logs/train-3d-fold_%a.log"',
        "open-mode=append",
        "requeue",
        "kill-on-invalid-dep=yes",
    ]


def test_what_is_not_known_is_left_to_the_cluster(tmp_path: Path) -> None:
    names = [line.partition("=")[0] for line in directives(tmp_path, job(needs=UNKNOWN))]
    assert "cpus-per-task" in names and not {"mem", "gres", "time", "array"} & set(names)


def test_an_option_of_the_user_takes_the_place_of_autosegs(tmp_path: Path) -> None:
    lines = directives(
        tmp_path, FOLDS, time="30", mem_per_cpu="2G", gpus="a100:1", partition="gpu", account="a b", comment="#1"
    )
    assert {"time=30", "mem-per-cpu=2G", "gpus=a100:1", "partition=gpu", 'account="a b"', 'comment="#1"'} <= set(lines)
    assert not [line for line in lines if line.startswith(("time=0", "mem=", "gres="))]


@pytest.mark.parametrize(("seconds", "limit"), [(0, "0-00:10:00"), (61, "0-00:12:00"), (86400, "1-12:10:00")])
def test_time_limit_is_half_as_long_again_and_ten_minutes(seconds: float, limit: str) -> None:
    assert time_limit(seconds) == limit


def test_a_path_that_would_end_a_line_or_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot stand in a job's script"):
        script_of(RunFolder(tmp_path / 'a"\nb'), job(), SlurmOptions(0))


class Started:
    """A script that runs as Slurm would start it; what stands for Python prints its arguments and ends as told."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, does: str, of: Job, turn: int = 0) -> None:
        self.folder = folder / "it's a run"
        self.folder.mkdir()
        tools = folder / "tools"
        tools.mkdir()
        for name, content in {"python": f'echo "python $*"\n{does}', "scontrol": 'echo "scontrol $*"'}.items():
            (tools / name).write_text(f"#!{shutil.which('bash')}\n{content}\n", encoding="utf-8")
            (tools / name).chmod(0o755)
        patch.setattr("sys.executable", str(tools / "python"))
        script = script_of(RunFolder(self.folder), of, SlurmOptions(2, {"partition": "gpu"}))
        slurm = {"SLURM_JOB_ID": "7", "SLURM_RESTART_COUNT": str(turn), "SLURMD_NODENAME": "node1"}
        slurm |= {"SLURM_ARRAY_JOB_ID": "5", "SLURM_ARRAY_TASK_ID": "3"} if of.numbers else {}
        self.process = subprocess.Popen(
            ["bash", "-c", script],
            env=os.environ | slurm | {"PATH": f"{tools}:{os.environ['PATH']}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )

    def signal(self, number: int) -> None:
        """Send a signal to the shell alone, once the work has begun."""
        begun = self.folder / "begun"
        while not begun.exists():
            time.sleep(0.01)
        self.process.send_signal(number)

    def ends(self) -> tuple[int, str]:
        printed, _ = self.process.communicate(timeout=300)
        return self.process.returncode, printed


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    return lambda does, of=FOLDS, turn=0: Started(tmp_path, monkeypatch, does, of, turn)


@pytest.mark.parametrize(
    ("status", "turn", "requeued"), [(0, 0, False), (2, 0, False), (75, 1, True), (137, 0, True), (1, 2, False)]
)
def test_what_may_be_tried_again_is_put_back_until_retries_end(start, status: int, turn: int, requeued: bool) -> None:
    started = start(f"exit {status}", turn=turn)
    ended, printed = started.ends()
    assert ended == status and f"turn {turn + 1}, on node1" in printed
    assert f"python -P -m autoseg work {started.folder} train-3d-fold_3 --log " in printed
    assert "/work/logs/train-3d-fold_3.log\n" in printed
    # by the number in the array: SLURM_JOB_ID of one element is that of the whole array
    assert ("scontrol requeue 5_3\n" in printed) == requeued
    assert ("all 2 retries are used up" in printed) == (status == 1)


def test_what_slurm_itself_puts_back_too_often_is_not_begun(start) -> None:
    ended, printed = start("exit 0", turn=3).ends()
    assert ended == 1 and "not begun again, since all 2 retries are used up" in printed
    assert "python" not in printed and "scontrol" not in printed


WAITS = """trap 'echo stopped; exit 75' TERM
touch "$5/begun"
while true; do sleep 0.05; done"""


def test_the_signal_before_the_time_limit_stops_the_work_which_goes_on_later(start) -> None:
    started = start(WAITS, job())
    started.signal(signal.SIGUSR1)
    ended, printed = started.ends()
    assert ended == 75 and "stopped\n" in printed and "scontrol requeue 7\n" in printed


def test_a_job_that_is_cancelled_is_not_put_back(start) -> None:
    started = start('touch "$5/begun"; sleep 0.5; exit 75', job())
    started.signal(signal.SIGTERM)
    ended, printed = started.ends()
    assert ended == 75 and "scontrol" not in printed


@pytest.mark.parametrize(("status", "sends"), [(0, True), (75, False)])
def test_the_job_of_the_plan_sends_the_rest(start, status: int, sends: bool) -> None:
    _, printed = start(f"exit {status}", job("plan", "plan")).ends()
    assert ("run --retries=2 --slurm-option=partition=gpu\n" in printed) == sends


def test_a_number_may_stand_before_more_of_the_name(start) -> None:
    (parts,) = jobs_of(PREPARE)
    _, printed = start("exit 0", parts).ends()
    assert "run prepare-3d-3of2 --log" in printed and "logs/prepare-3d-3of2.log\n" in printed


def test_nothing_in_the_name_of_a_configuration_is_run(start) -> None:
    name = "train-$(touch here)`touch here` it's #1-fold_"
    started = start("exit 0", job(name, "train", numbers=(3,)))
    _, printed = started.ends()
    assert f"autoseg work {started.folder} {name}3 --log" in printed and not list(started.folder.parent.rglob("here"))


def test_a_value_with_signs_of_sbatch_stands_in_quotation_marks(tmp_path: Path) -> None:
    lines = directives(tmp_path, job("report-50%j #1"), comment="it's#1", constraint="a&b", partition="gpu")
    assert {'job-name="report-50%j #1"', 'comment="it\'s#1"', 'constraint="a&b"', "partition=gpu"} <= set(lines)
    assert f'output="{tmp_path}/work/logs/report-50%%j #1.log"' in lines


def test_links_are_followed_where_the_run_does(tmp_path: Path) -> None:
    of = RunFolder(tmp_path)
    assert '.log" --follow-links &' in script_of(of, job(), SlurmOptions(0, follow_links=True))
    assert "--follow-links" not in script_of(of, job(), SlurmOptions(0))
