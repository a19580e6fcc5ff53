"""What is sent, in which order, and what waits for what; Slurm is a list here."""

import json
import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from autoseg.errors import InputError
from autoseg.files import write_text
from autoseg.run_folder.lock_holder import Watch
from autoseg.run_folder.paths import RunFolder
from autoseg.work.engine import read_engine
from autoseg.work.engines import slurm, slurm_commands
from autoseg.work.engines.slurm_commands import QueuedJob
from autoseg.work.engines.slurm_script import SlurmOptions
from autoseg.work.request import Request, read_request, write_request
from autoseg.work.state import State, state_of
from autoseg.work.tries import begin_try, end_try, read_tries
from autoseg.work.unit import Unit
from tests.autoseg.work.engines.units_by_hand import ALL, GPU, TRAIN, UNKNOWN

OPTIONS = SlurmOptions(3)
OTHER_CELL = Unit("train-T1+T2.3d-fold_0", "train", GPU, ("prepare-3d-0of2", "prepare-3d-1of2"))


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """Name of each job that was sent, and what it waits for; ids count from 100."""
    jobs: list[tuple[str, list[str]]] = []

    def send(script: str, after: Sequence[str], after_end_of: Sequence[str] = ()) -> str:
        any_end = [f"any:{one}" for one in after_end_of]
        jobs.append((re.search("job-name=(.*)", script)[1], [*after, *any_end]))
        return str(99 + len(jobs))

    monkeypatch.setattr(slurm_commands, "send", send)
    monkeypatch.setattr(slurm_commands, "queued", lambda run: {})
    return jobs


def test_without_a_plan_its_job_is_sent_alone(tmp_path: Path, sent) -> None:
    slurm.submit(RunFolder(tmp_path), ALL, OPTIONS)
    assert sent == [("plan", [])] and (tmp_path / "work" / "logs").is_dir()


def test_the_job_that_plans_sends_the_others_while_nobody_else_sends(tmp_path: Path, monkeypatch) -> None:
    run, found = RunFolder(tmp_path), []

    def submit(of: RunFolder, units: Sequence[Unit], options: SlurmOptions) -> None:
        found.append((options, Watch().living(of.request)))

    write_request(run, Request(dataset="/data", configurations=("3d",), folds=2))
    monkeypatch.setattr(slurm, "submit", submit)
    slurm._send_the_rest([str(tmp_path), "--retries=3", "--slurm-option=partition=gpu"])
    ((options, holder),) = found
    assert options == SlurmOptions(3, {"partition": "gpu"}) and holder is not None
    assert Watch().living(run.request) is None


def test_what_follows_waits_for_whole_arrays(tmp_path: Path, sent) -> None:
    slurm.submit(RunFolder(tmp_path), ALL[1:], OPTIONS)
    assert sent == [("prepare-3d-%aof2", []), ("train-3d-fold_%a", ["100"]), ("report-3d", ["101"])]


def test_what_is_done_is_waited_for_no_more(tmp_path: Path, sent) -> None:
    slurm.submit(RunFolder(tmp_path), [ALL[4], ALL[-1]], OPTIONS)
    assert sent == [("train-3d-fold_%a", []), ("report-3d", ["100"])]


def test_what_is_in_the_queue_is_not_sent_again(tmp_path: Path, sent, monkeypatch, capsys) -> None:
    running = {f"train-3d-fold_{k}": QueuedJob(f"7_{k}", "RUNNING", "node1", "None") for k in (0, 1)}
    monkeypatch.setattr(slurm_commands, "queued", lambda run: running)
    slurm.submit(RunFolder(tmp_path), ALL[3:], OPTIONS)
    # of an array that was sent earlier other elements may have failed, so its elements are waited for one by one
    assert sent == [("train-3d-fold_%a", []), ("report-3d", ["100", "7_0", "7_1"])]
    assert "in the queue already: 2 units, train-3d-fold_0 to train-3d-fold_1" in capsys.readouterr().out


def test_a_dry_run_is_a_script_that_bash_sends(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "it's a $(touch here) $HOME `run`")
    request = Request(dataset="/d\u00e4ta/$HOME/'x'", configurations=("3d",), folds=2, epochs=3)
    written = {run.request: json.dumps(request.model_dump(mode="json"), indent=1), run.dataset_changed: ""}
    mark = run.work / "a $mark"
    script = slurm.scripts_of(run, ALL[1:], OPTIONS, written=written, removed=[mark, run.work / "none"])
    # stand for Slurm: sbatch notes what it was given, and prints a number
    stand_in = """sbatch() {
        n=$(cat "$at/n" 2>/dev/null || echo 10)
        echo $((n + 1)) > "$at/n"
        echo "$*" >> "$at/log"
        grep -e --job-name >> "$at/log"
        echo $n
    }
    squeue() { echo "$queue"; }
    """
    bash = ["bash"]
    assert not run.path.exists()
    of_others, own = (
        f"at={shlex.quote(str(tmp_path))}\nqueue={shlex.quote(jobs)}\n{stand_in}"
        for jobs in (f"/other\n{run.path}/x", f"/other\n{run.path}\n/more")
    )
    refused = subprocess.run(bash, input=own + script, cwd=tmp_path, encoding="utf-8", capture_output=True)
    assert refused.returncode == 1 and "has jobs in the queue" in refused.stderr and not run.path.exists()
    write_text(mark, "")
    subprocess.run(bash, cwd=tmp_path, input=of_others + script, encoding="utf-8", check=True)
    assert not mark.exists()
    assert not (tmp_path / "here").exists()
    assert (tmp_path / "log").read_text(encoding="utf-8").splitlines() == [
        "--parsable",
        "#SBATCH --job-name=prepare-3d-%aof2",
        "--parsable --dependency=afterok:10",
        "#SBATCH --job-name=train-3d-fold_%a",
        "--parsable --dependency=afterok:11",
        "#SBATCH --job-name=report-3d",
    ]
    assert (run.path / "work" / "logs").is_dir()
    # `autoseg status` and `autoseg cancel` ask Slurm from then on
    assert read_engine(run) == "slurm"
    # and what `autoseg run` writes before it sends anything
    assert read_request(run) == request and run.dataset_changed.exists()


def test_cancel_names_the_units_that_were_in_the_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cancelled: list[str] = []
    queue = [
        ("plan", QueuedJob("3", "RUNNING", "node1", "None")),
        ("x", QueuedJob("4_1", "PENDING", "", "Priority")),
        # sent twice
        ("plan", QueuedJob("5", "PENDING", "", "Priority")),
    ]
    monkeypatch.setattr(slurm_commands, "every_queued", lambda run: queue)
    monkeypatch.setattr(slurm_commands, "cancel", cancelled.extend)
    monkeypatch.setattr(slurm, "SECONDS_BETWEEN_LOOKS", 0.0)
    assert slurm.cancel(RunFolder(tmp_path)) == ("plan", "x") and cancelled == ["3", "4_1", "5"]


def test_what_a_job_that_plans_sends_while_it_is_cancelled_is_cancelled_too(tmp_path: Path, monkeypatch) -> None:
    cancelled: list[list[str]] = []
    plan = ("plan", QueuedJob("3", "RUNNING", "node1", "None"))
    late = [("prepare-3d-0of2", QueuedJob("4_0", "PENDING", "", "None"))]
    looks = [[plan], [plan, *late], [plan]]
    monkeypatch.setattr(slurm_commands, "every_queued", lambda run: looks.pop(0))
    monkeypatch.setattr(slurm_commands, "cancel", lambda ids: cancelled.append(list(ids)))
    monkeypatch.setattr(slurm, "SECONDS_BETWEEN_LOOKS", 0.0)
    assert slurm.cancel(RunFolder(tmp_path)) == ("plan", "prepare-3d-0of2")
    assert cancelled == [["3"], ["4_0"]]
    # others send nothing, and are looked for once
    looks = [late]
    slurm.cancel(RunFolder(tmp_path))
    assert looks == []


@pytest.mark.parametrize(("kill", "word"), [(True, "ready"), (False, "failed")])
def test_work_that_slurm_kills_after_cancel_is_cancelled_and_not_failed(tmp_path, monkeypatch, kill, word) -> None:
    run, unit = RunFolder(tmp_path), Unit("plan", "plan", UNKNOWN, ())
    write_request(run, Request(dataset="/data", configurations=("3d",), folds=2))
    begun = begin_try(run, unit.name)
    queue = [("plan", QueuedJob("3", "RUNNING" if kill else "PENDING", "node1" if kill else "", "None"))]
    monkeypatch.setattr(slurm_commands, "every_queued", lambda run: queue)
    monkeypatch.setattr(slurm_commands, "cancel", lambda ids: None)
    monkeypatch.setattr(slurm, "SECONDS_BETWEEN_LOOKS", 0.0)
    slurm.cancel(run)
    # the process was killed; nobody holds its lock
    state = state_of(run, unit)
    assert state.word == word and ("was cancelled" in state.why) == kill
    # what ends by itself says how, once
    end_try(run, unit.name, begun, 1, "no memory")
    assert [(one.exit, one.cancelled) for one in read_tries(run, unit.name).last] == [(1, False)]
    assert (state_of(run, unit).word, state_of(run, unit).why) == ("failed", "no memory")


@pytest.mark.parametrize(
    ("taken", "told"),
    [
        (0, "By --slurm-option came partition=gpux, exclusive. Nothing was sent; once this is mended, give the"),
        (1, "exclusive. Sent before it, and still in the queue: 1; the command again sends the rest"),
    ],
)
def test_a_job_that_slurm_does_not_take_is_told_with_the_users_options_and_what_was_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: int, told: str
) -> None:
    jobs: list[str] = []

    def send(script: str, after: Sequence[str], after_end_of: Sequence[str] = ()) -> str:
        if len(jobs) == taken:
            raise InputError("sbatch: error: invalid partition specified: gpux")
        jobs.append(script)
        return str(len(jobs))

    monkeypatch.setattr(slurm_commands, "send", send)
    monkeypatch.setattr(slurm_commands, "queued", lambda run: {})
    options = SlurmOptions(3, {"partition": "gpux", "exclusive": ""})
    with pytest.raises(InputError, match=f"^sbatch: error: invalid partition.*\n.*{re.escape(told)}"):
        slurm.submit(RunFolder(tmp_path), ALL[1:], options)


def test_what_is_told_of_units_that_are_not_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = {
        "train-3d-fold_0": QueuedJob("7_0", "RUNNING", "n1", "None"),
        "report-3d": QueuedJob("8", "PENDING", "", "Dependency"),
    }
    monkeypatch.setattr(slurm_commands, "queued", lambda run: jobs)
    assert slurm.in_queue(RunFolder(tmp_path), dict.fromkeys([ALL[3], ALL[4], ALL[-1]], State("ready"))) == {
        "train-3d-fold_0": "job 7_0 on n1",
        "train-3d-fold_1": "not in the queue; the same command sends it",
        "report-3d": "in the queue as job 8 (Dependency)",
    }
    monkeypatch.setattr(slurm_commands, "queued", lambda run: {"plan": QueuedJob("9", "PENDING", "", "Priority")})
    left = dict.fromkeys([ALL[0], ALL[-1]], State("waiting"))
    assert slurm.in_queue(RunFolder(tmp_path), left)["report-3d"] == "is sent once the plan is made"


def test_jobs_that_are_ending_are_waited_for(tmp_path: Path, sent, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = [{"report-3d": QueuedJob("8", "COMPLETING", "n1", "None")}, {}]
    monkeypatch.setattr(slurm_commands, "queued", lambda run: looks.pop(0))
    monkeypatch.setattr(slurm, "SECONDS_BETWEEN_LOOKS", 0.0)
    slurm.submit(RunFolder(tmp_path), [ALL[-1]], OPTIONS)
    assert sent == [("report-3d", [])]


def test_links_are_followed_in_jobs_where_it_was_asked_for(tmp_path: Path) -> None:
    script = slurm.scripts_of(RunFolder(tmp_path), ALL[1:], OPTIONS, written={}, follow_links=True)
    assert script.count(" --follow-links &") == 3


RESULTS = Unit("study", "study", UNKNOWN, ("plan",), tuple(unit.name for unit in (*TRAIN, OTHER_CELL)))


def test_results_wait_for_the_end_of_trainings_good_or_bad(tmp_path: Path, sent) -> None:
    slurm.submit(RunFolder(tmp_path), [*TRAIN, OTHER_CELL, RESULTS], OPTIONS)
    assert sent == [("train-3d-fold_%a", []), ("train-T1+T2.3d-fold_%a", []), ("study", ["any:100", "any:101"])]
    script = slurm.scripts_of(RunFolder(tmp_path), [*TRAIN, OTHER_CELL, RESULTS], OPTIONS, written={})
    assert 'job_3=$(sbatch --parsable --dependency="afterany:${job_1}:${job_2}"' in script
    assert "#SBATCH --job-name=train-T1+T2.3d-fold_%a" in script


def test_results_that_still_wait_are_sent_anew_with_what_failed(tmp_path: Path, sent, monkeypatch) -> None:
    cancelled: list[str] = []
    queue = {f"train-3d-fold_{k}": QueuedJob(f"7_{k}", "RUNNING", "node1", "None") for k in range(5)}
    queue["study"] = QueuedJob("9", "PENDING", "", "Dependency")
    monkeypatch.setattr(slurm_commands, "queued", lambda run: dict(queue))
    monkeypatch.setattr(slurm_commands, "cancel", lambda ids: cancelled.extend(ids))
    slurm.submit(RunFolder(tmp_path), [*TRAIN, RESULTS], OPTIONS)
    assert not sent and not cancelled
    slurm.submit(RunFolder(tmp_path), [*TRAIN, OTHER_CELL, RESULTS], OPTIONS)
    assert cancelled == ["9"]
    waits_for = ["any:100", *(f"any:7_{k}" for k in range(5))]
    assert sent == [("train-T1+T2.3d-fold_%a", []), ("study", waits_for)]
