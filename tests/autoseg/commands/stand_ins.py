"""Stand-ins for the slow stages: planning for the time at hand, training, reporting."""

import sys
from dataclasses import dataclass, field
from types import SimpleNamespace

from autoseg.errors import OtherPace
from autoseg.plan.plan import read_plan
from autoseg.run_folder.finished_fold import write_finished
from autoseg.run_folder.fold_cases import splits_of_configuration
from autoseg.run_folder.splits import read_splits
from autoseg.run_folder.trained_by import write_trained_by
from planner.rules.reference_plan import PlannedDecisions
from tests.example_fold import finished_fold
from tests.example_plan import with_training

FOLD_SECONDS = 300.0


@dataclass
class Calls:
    """What the pipeline asked of the stages."""

    fitted: list = field(default_factory=list)
    trained: list = field(default_factory=list)
    reported: list = field(default_factory=list)
    paces: list[float] = field(default_factory=list)  # real pace by planned pace, of the next folds that may tell


def fitting(calls: Calls):
    """A planner for the time at hand that shortens the schedule of every configuration."""

    def fit_to_budget(decisions, fingerprint, splits, *, configurations, budget_seconds, **rest):
        calls.fitted.append({"splits": splits, "configurations": configurations, "budget": budget_seconds, **rest})
        plan = decisions.plan.changed(device=rest["device"], time_budget_seconds=budget_seconds)
        for name in plan.configurations if budget_seconds is not None else ():
            plan = with_training(plan, name, iterations=100, seconds=FOLD_SECONDS)
        return PlannedDecisions(plan, decisions.reasons)

    return fit_to_budget


def install(monkeypatch, *, planning: bool = True) -> Calls:
    """Put the stand-ins where the pipeline imports them from.

    Args:
        monkeypatch: pytest's.
        planning: stand in for planning too.
    """
    calls = Calls()

    def train_fold(run, configuration, fold, **options):
        calls.trained.append((configuration, fold, options))
        weights = run.weights(configuration, fold)
        weights.parent.mkdir(parents=True, exist_ok=True)
        weights.write_bytes(b"weights")
        plan = read_plan(run.plan)
        if options.get("at_other_pace") == "raise" and calls.paces:
            training = plan.configuration(configuration).training
            planned = training.seconds / training.iterations
            raise OtherPace(planned, calls.paces.pop(0) * planned)
        write_trained_by(run, plan, configuration, fold)
        split = splits_of_configuration(run, plan, configuration, read_splits(run.splits))[fold]
        write_finished(run, configuration, fold, finished_fold(fold, split, classes=("ball",)))

    def report_run(run, configuration, *, threads=None):
        calls.reported.append(configuration)
        return SimpleNamespace()

    modules = {
        "trainer.fold": SimpleNamespace(train_fold=train_fold),
        "inference.evaluation.evaluate": SimpleNamespace(
            report_run=report_run,
            IncompleteEvaluation=ValueError,
            expected_comparison_seconds=lambda run, name, threads: None,
        ),
    }
    if planning:
        modules["planner.budget.time_budget"] = SimpleNamespace(fit_to_budget=fitting(calls))
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr("autoseg.commands.printed_results.print_results", lambda *arguments: None)
    return calls
