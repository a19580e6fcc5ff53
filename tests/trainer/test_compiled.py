"""The compiled form is used where it works and saves more time than it takes, by a clock that the forms move."""

import io
import signal

import pytest
import torch
from rich.console import Console

from autoseg.machine import clock
from autoseg.machine.stop_answer import StopAsked
from tests.stopped_in_c import at_work, translate
from tests.trainer.tiny_run import make_plan, make_training
from trainer.compiled import compile_where_it_pays
from trainer.data.batch import Batch
from trainer.learner import Learner

PLAIN, COMPILED, COMPILING = 1.0, 0.5, 40.0


@pytest.fixture
def forms(monkeypatch):
    """A clock on which the plain form takes a second, the compiled one half of it, and compiling forty seconds."""

    class Forms:
        now, fails = 0.0, False
        learner: Learner

        @staticmethod
        def compile(module):
            def forward(image):
                if Forms.fails:
                    raise RuntimeError("no compiler\nmore")
                Forms.now += COMPILED if Forms.compiled else COMPILING
                Forms.compiled = True
                return module(image)

            return forward

    Forms.compiled = False
    training = make_training()
    plan = make_plan(training)
    Forms.learner = Learner(plan, plan.configurations["3d"], training, torch.device("cpu"), seed=1)

    plain = Forms.learner.module.forward

    def forward(image):
        if Forms.learner.forward is Forms.learner.module:
            Forms.now += PLAIN
        return plain(image)

    monkeypatch.setattr(Forms.learner.module, "forward", forward)
    monkeypatch.setattr(clock, "now", lambda: Forms.now)
    monkeypatch.setattr(torch, "compile", Forms.compile)
    return Forms


def probe(learner: Learner, steps: int) -> tuple[bool, str]:
    told = Console(file=io.StringIO(), width=300)
    batch = Batch(torch.randn(2, 1, 8, 12, 12), torch.zeros(2, 8, 12, 12, dtype=torch.uint8), 0)
    return compile_where_it_pays(learner, batch, steps, told), told.file.getvalue()


@pytest.mark.parametrize(("steps", "pays"), [(79, False), (81, True)])
def test_half_a_second_a_step_pays_for_forty_seconds_from_eighty_steps_on(forms, steps, pays) -> None:
    found, told = probe(forms.learner, steps)
    assert found is pays
    assert (forms.learner.forward is forms.learner.module) is not pays
    assert "0.5 s instead of 1 s" in told and f"{steps} steps and takes 40 s" in told


def test_where_it_fails_the_plain_network_computes_and_it_is_told(forms) -> None:
    forms.fails = True
    found, told = probe(forms.learner, 10_000)
    assert not found and forms.learner.forward is forms.learner.module
    assert "no compiler" in told and "more" not in told


def test_no_weight_is_changed(forms) -> None:
    before = {name: weight.clone() for name, weight in forms.learner.module.state_dict().items()}
    probe(forms.learner, 1000)
    assert all(torch.equal(before[name], weight) for name, weight in forms.learner.module.state_dict().items())
    assert all(parameter.grad is None for parameter in forms.learner.module.parameters())


def test_a_stop_while_it_is_compiled_is_no_failure_of_the_compiler(forms, monkeypatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda module: lambda image: translate(signal.SIGTERM))
    with at_work(), pytest.raises(StopAsked):
        probe(forms.learner, 1000)
