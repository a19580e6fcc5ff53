"""A step is measured on a quiet machine by the clock, and on a busy one by processor time."""

import pytest
import torch

from autoseg.commands.make_plan import measure_on
from autoseg.machine.other_programs import DISTURBING, Usage
from autoseg.machine.threads import Threads
from tests.example_fingerprint import example_case_fingerprint, example_fingerprint
from tests.trainer.tiny_run import make_plan, make_run, make_training, store_partly
from trainer import measure
from trainer.checkpoint import Requested
from trainer.fold_batches import noise_for
from trainer.learner import Learner
from trainer.open_fold import open_fold


@pytest.fixture
def clocks(monkeypatch):
    """A wall clock on which each step takes 4 s, and a processor clock on which it takes 1 s with one thread."""

    class Clocks:
        wall, processor, others, at_first = 0.0, 0.0, 0.0, None

    def step(self, *arguments):
        Clocks.wall += 4.0
        Clocks.processor += 1.0 if torch.get_num_threads() == 1 else 7.0
        return torch.tensor(0.5), torch.zeros((3, 1))

    class Programs:
        seconds_since = 1.0

        def measure(self) -> Usage:
            others = Clocks.others if Clocks.at_first is None else Clocks.at_first
            Clocks.at_first = None
            return Usage(1.0, others, 1.0)

    monkeypatch.setattr(Learner, "step", step)
    monkeypatch.setattr(measure, "OtherPrograms", Programs)
    monkeypatch.setattr(measure, "available_cores", lambda: 2)
    monkeypatch.setattr("time.perf_counter", lambda: Clocks.wall)
    monkeypatch.setattr("time.process_time", lambda: Clocks.processor)
    return Clocks


def measured():
    plan = make_plan(make_training())
    return measure.measure_step(plan, plan.configurations["3d"], "cpu", threads=2)


def test_in_quiet_the_wall_clock_counts(clocks) -> None:
    clocks.others = DISTURBING / 2
    cost = measured()
    assert cost.seconds == 4.0 and not cost.disturbed


def test_beside_others_the_processor_time_of_one_thread_counts(clocks) -> None:
    clocks.others = 1.3
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        cost = measured()
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert cost.seconds == pytest.approx(1.0 / 2**measure.GAIN_OF_THREADS)
    assert cost.disturbed and cost.others == 1.3


def test_who_begins_meanwhile_is_seen_too(clocks) -> None:
    clocks.others, clocks.at_first = 1.3, 0.0
    cost = measured()
    assert cost.seconds == pytest.approx(1.0 / 2**measure.GAIN_OF_THREADS)
    assert cost.disturbed


def test_others_cannot_use_more_than_there_is(clocks) -> None:
    clocks.others = 17.0
    assert measured().others == 2.0


def test_where_a_class_was_not_looked_for_the_marginal_loss_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    plan, seen = make_plan(make_training(lesion_loss=0.3)), []
    step = Learner.step
    monkeypatch.setattr(Learner, "step", lambda self, batch, *args: seen.append(batch) or step(self, batch, *args))
    for partly in (False, True):
        measure.measure_step(plan, plan.configurations["3d"], "cpu", steps=1, threads=1, partly_annotated=partly)
    assert seen[0].missing is None and seen[-1].missing.sum() == 1
    assert torch.equal(seen[0].image, seen[-1].image) and torch.equal(seen[0].label, seen[-1].label)


def test_a_data_set_and_a_fold_tell_that_it_is_to_be_measured(tmp_path, capsys) -> None:
    case = example_case_fingerprint("a")
    whole, partly = (example_fingerprint([case.changed(annotated=one)]) for one in ("all", ("another",)))
    assert "partly_annotated" not in measure_on("cpu", 1, whole).keywords
    assert measure_on("cpu", 1, partly).keywords["partly_annotated"]
    run = make_run(tmp_path, make_training())
    task = open_fold(run, "3d", 0, torch.device("cpu"), 0, Requested(), Threads(1))
    task.writer.close()
    assert "nobody looked" not in capsys.readouterr().err
    assert noise_for(task, task.configuration).missing is None
    store_partly(run, "ball_0")
    assert noise_for(task, task.configuration).missing.sum() == 1
    # a class that no training case knows is absent in this fold, and this is told
    for name in ("ball_1", "ball_2", "ball_3"):
        store_partly(run, name)
    assert noise_for(task, task.configuration).missing is None
    open_fold(run, "3d", 0, torch.device("cpu"), 0, Requested(), Threads(1)).writer.close()
    told = " ".join(capsys.readouterr().err.split())
    assert "fold 0: nobody looked for ball in any of its 4 training cases, so this fold learns it as absent" in told
