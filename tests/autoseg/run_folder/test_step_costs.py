import math

import pytest

from autoseg.errors import RunFolderError
from autoseg.machine.step_cost import StepCost
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.step_costs import CostRecorder, ReplayedCosts, StepCosts, read_step_costs, write_step_costs
from tests.example_plan import example_plan


def test_what_was_measured_is_given_again_look_by_look(tmp_path) -> None:
    planned = example_plan()
    configuration = planned.configurations["3d"]
    other = configuration.changed(batch_size=configuration.batch_size + 1)
    answers = iter([StepCost(0.5, 10, 0.25, 1.0), StepCost(math.inf, 0), StepCost(0.25, 11)])
    recorder = CostRecorder(lambda *_: next(answers))
    measured = [recorder(planned, c) for c in (configuration, other, configuration)]
    run = RunFolder(tmp_path)
    write_step_costs(run, StepCosts(device="cpu", cores=2, threads=2, steps=tuple(recorder.steps)))
    kept = read_step_costs(run)
    assert kept is not None
    replayed = ReplayedCosts(kept)
    assert [replayed(planned, c) for c in (configuration, other, configuration)] == measured
    with pytest.raises(RunFolderError, match=r"step_costs\.json"):
        replayed(planned, configuration)
