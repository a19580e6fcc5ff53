"""The units of work of a run, from what was asked for and, once it exists, the plan.

Before there is a plan, the configurations and the number of folds that were asked for say which units there will be.
What a unit takes is then not known, but for what the person says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from autoseg.dataset.fingerprint import CaseFingerprint, read_fingerprint
from autoseg.errors import InputError, RunFolderError
from autoseg.names import listed
from autoseg.plan.configuration import Configuration
from autoseg.plan.defaults import DEFAULT_CONFIGURATIONS, DEFAULT_FOLDS
from autoseg.plan.plan import Plan, default_configurations, read_plan
from autoseg.plan.study_cells import cells_in
from autoseg.run_folder.finished_fold import read_finished_folds
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.predictions_folder import PredictionsFolder, WorkFolder
from autoseg.run_folder.splits import read_splits
from autoseg.run_folder.step_costs import read_step_costs
from autoseg.run_folder.time_spent import read_time_spent
from autoseg.run_folder.timed_stage import Stage
from autoseg.work.prediction_request import PredictionRequest, read_prediction_request
from autoseg.work.prediction_units import units_of_request
from autoseg.work.request import Request, read_request
from autoseg.work.study_scope import cells_of, possible_folds, source_of
from autoseg.work.tries import REPORT, STUDY
from autoseg.work.unit import Needs, Unit

CORES = 4
"""Cores of a unit where neither the person nor the plan's measurements name a number of threads."""

SECONDS_TO_BEGIN = 60.0
"""Seconds that a unit takes to start, to load torch and to open its cases, on a slow file system."""

BESIDE_THE_MODEL_BYTES = 4 * 2**30
"""Memory of a training on a CPU beside what the plan has for the network: the interpreter, and cases in validation."""

A_PATCH_WORKER_BYTES = 2 * 2**30
"""Main memory of a training on a GPU for each core: a process that draws patches."""

SHARE_OF_READING = 4.0
"""Preparing a case takes at most so many times as long as measuring its fingerprint, which reads it too."""

Wanted = Request | PredictionRequest
"""What a person asks for, of a run or a study, or of predictions."""


@dataclass(frozen=True)
class Scope:
    """What a run has to do.

    Args:
        request: what the person asked for; where nobody asked, as in RUN folders of earlier releases, the defaults.
        plan: plan; None = there is none yet.
        configurations: configurations that are trained.
        folds: number of folds of each.
        of_study: whether the configurations are the cells of a study.
    """

    request: Request
    plan: Plan | None
    configurations: tuple[str, ...]
    folds: int
    of_study: bool = False


def scope_of(run: RunFolder, wanted: Request | None = None) -> Scope:
    """Read what a run has to do.

    Args:
        run: RUN folder, with its plan or with what somebody asked for.
        wanted: what the person asks for; None = as `work/request.json` says.

    Raises:
        RunFolderError: the folder holds neither a plan nor what somebody asked for, or a file is malformed.
        PlanError: the plan or the folds are malformed.
    """
    request, plan = wanted or read_request(run), read_plan(run.plan) if run.plan.exists() else None
    if request is None and plan is None:
        raise RunFolderError(
            f"{run.path}: holds no plan and nothing that was asked for. `autoseg run` and `autoseg study` make both; "
            "if one works now, it still checks the data set"
        )
    folds = len(read_splits(run.splits)) if run.splits.exists() else None
    asked = request or Request(dataset=None)
    names = asked.configurations
    of_study = asked.grid is not None or (request is None and plan is not None and cells_in(plan) != ())
    if of_study and plan is not None:
        names = tuple(cell.name for cell in cells_of(asked.grid, plan))
    if not names and not of_study:
        trained = run.configurations_with_models() if request is None and plan is not None else ()
        known = tuple(name for name in trained if plan is not None and name in plan.configurations)
        names = known or (DEFAULT_CONFIGURATIONS if plan is None else default_configurations(plan))
    return Scope(asked, plan, names, folds or asked.folds or DEFAULT_FOLDS, of_study)


def trainings_of(run: RunFolder, scope: Scope) -> tuple[tuple[str, int], ...]:
    """Return configuration and fold of every training of a run.

    A fold of a study's cell is left out that has no case to learn from, or none to be validated on.
    """
    every = dict.fromkeys(scope.configurations, tuple(range(scope.folds)))
    if scope.of_study and scope.plan is not None and run.splits.exists():
        every = possible_folds(run, scope.plan, scope.configurations, read_splits(run.splits))
    return tuple((name, fold) for name, folds in every.items() for fold in folds)


def units_of(
    run: WorkFolder, wanted: Wanted | None = None, *, needs_of_cases: bool = True, scope: Scope | None = None
) -> tuple[Unit, ...]:
    """Return the units of work of a run, or of a folder of predictions, each after those that it waits for.

    Args:
        run: RUN folder, or folder of predictions.
        wanted: what the person asks for, of a run or of predictions; None = as the folder says.
        needs_of_cases: whether what follows from the single cases is told too, such as the memory that the largest one
            takes. It takes seconds with ten thousand cases, and who only does a unit need not know it.
        scope: what the run has to do, where it was read already.

    Raises:
        RunFolderError, PlanError: as `scope_of`.
    """
    if isinstance(run, PredictionsFolder):
        return units_of_request(wanted if isinstance(wanted, PredictionRequest) else read_prediction_request(run))
    scope = scope or scope_of(run, wanted if isinstance(wanted, Request) else None)
    needs, parts = _Needing(run, scope, of_cases=needs_of_cases), scope.request.parts
    units = [Unit("plan", "plan", needs.of_planning(), ())]
    if scope.of_study:
        return (*units, *_units_of_cells(run, scope, needs))
    trainings: list[str] = []
    for name in scope.configurations:
        prepared = tuple(prepare_unit(name, part, parts) for part in range(parts))
        # the same for each part: the fingerprint is read once a configuration, however many parts there are
        preparing = needs.of_preparing(name)
        units += [Unit(unit, "prepare", preparing, ("plan",)) for unit in prepared]
        for fold in range(scope.folds):
            trainings.append(train_unit(name, fold))
            units.append(Unit(trainings[-1], "train", needs.of_training(name, fold), prepared))
    if scope.request.selects:
        units.append(Unit("select", "select", needs.of_the_rest(), tuple(trainings)))
    for name in scope.configurations:
        of_one = tuple(train_unit(name, fold) for fold in range(scope.folds))
        waits_for = (*of_one, "select") if scope.request.selects else of_one
        units.append(Unit(report_unit(name), "report", needs.of_the_rest(), waits_for))
    return tuple(units)


def _units_of_cells(run: RunFolder, scope: Scope, needs: _Needing) -> tuple[Unit, ...]:
    """The units of a study after its plan: cells that share preprocessed cases wait for the same preparation.

    A cell that fails does not stop the results of the others: these wait for the end of every training.
    """
    parts, sources = scope.request.parts, {name: source_of(name, scope.plan) for name in scope.configurations}
    preparing: dict[str, list[Unit]] = {}
    for source in dict.fromkeys(sources.values()):
        takes = needs.of_preparing(source)
        names = (prepare_unit(source, part, parts) for part in range(parts))
        preparing[source] = [Unit(name, "prepare", takes, ("plan",)) for name in names]
    prepared = {source: tuple(unit.name for unit in units) for source, units in preparing.items()}
    trainings = [
        Unit(train_unit(name, fold), "train", needs.of_training(name, fold), prepared[sources[name]])
        for name, fold in trainings_of(run, scope)
    ]
    study = Unit(STUDY, "study", needs.of_the_rest(), ("plan",), tuple(unit.name for unit in trainings))
    return (*(unit for units in preparing.values() for unit in units), *trainings, study)


def follows_links(run: WorkFolder) -> bool:
    """Whether links in the RUN folder may lead out of it, as the person who asked for the units said."""
    if isinstance(run, PredictionsFolder):
        return read_prediction_request(run).options.follow_links
    request = read_request(run)
    return request is not None and request.follow_links


def unit_named(units: Sequence[Unit], name: str) -> Unit:
    """Return the unit of a name.

    Raises:
        InputError: there is none; the message names the first ones.
    """
    found = next((unit for unit in units if unit.name == name), None)
    if found is None:
        raise InputError(f"{name}: there is no such unit of work; there are {listed(unit.name for unit in units)}")
    return found


def prepare_unit(configuration: str, part: int, parts: int) -> str:
    """Name of the unit that prepares a part of the cases of a configuration."""
    return f"prepare-{configuration}-{part}of{parts}"


def train_unit(configuration: str, fold: int) -> str:
    """Name of the unit that trains a fold of a configuration."""
    return f"train-{configuration}-fold_{fold}"


def report_unit(configuration: str) -> str:
    """Name of the unit that writes the report of a configuration."""
    return f"{REPORT}{configuration}"


def prepared_by(unit: Unit) -> tuple[str, int, int]:
    """Configuration, number of the part and number of parts of a unit that prepares cases."""
    name, _, numbers = unit.name.removeprefix("prepare-").rpartition("-")
    part, _, parts = numbers.partition("of")
    return name, int(part), int(parts)


def trained_in(unit: Unit) -> tuple[str, int]:
    """Configuration and number of the fold of a unit that trains."""
    name, _, fold = unit.name.removeprefix("train-").rpartition("-fold_")
    return name, int(fold)


def reported_by(unit: Unit) -> str:
    """Configuration of a unit that writes a report."""
    return unit.name.removeprefix(REPORT)


class _Needing:
    """What units need, from what was measured so far; None stands for what is not known.

    Args:
        run: RUN folder with the measurements.
        scope: what the run has to do.
        of_cases: whether single cases are looked at.
    """

    def __init__(self, run: RunFolder, scope: Scope, *, of_cases: bool) -> None:
        self._run, self._scope, self._plan, self._of_cases = run, scope, scope.plan, of_cases
        self._costs = read_step_costs(run) if scope.plan is not None else None
        measured = None if self._costs is None else self._costs.threads
        self._cores = scope.request.threads or (measured if self._on_cpu else None) or CORES
        self._gpus = int(self._device.startswith("cuda"))
        self._seconds = {name: self._seconds_of_a_fold(name) for name in scope.configurations}

    @property
    def _device(self) -> str:
        return self._scope.request.device if self._plan is None else self._plan.device

    @property
    def _on_cpu(self) -> bool:
        return not self._device.startswith(("cuda", "mps"))

    def of_planning(self) -> Needs:
        """Planning measures training steps on the device that trains."""
        return Needs(self._scope.request.workers or self._cores, None, self._gpus, None)

    def of_preparing(self, name: str) -> Needs:
        """One part of the preparation of the cases of a configuration."""
        cores = self._scope.request.workers or self._cores
        if self._plan is None or not self._run.fingerprint.exists():
            return Needs(cores, None, 0, None)
        reading = read_time_spent(self._run).of(Stage("fingerprint"))
        seconds = SECONDS_TO_BEGIN + SHARE_OF_READING * reading / self._scope.request.parts if reading else None
        memory = cores * self._largest_case(name) if self._of_cases else None
        return Needs(cores, memory, 0, seconds)

    def of_training(self, name: str, fold: int) -> Needs:
        """Training of one fold, and the prediction of its validation cases."""
        memory = None
        if self._plan is not None:
            network = int(self._plan.memory_gb * 2**30)
            on_cpu, beside = network + BESIDE_THE_MODEL_BYTES, self._cores * A_PATCH_WORKER_BYTES
            memory = on_cpu if self._on_cpu else BESIDE_THE_MODEL_BYTES + beside
        return Needs(self._cores, memory, self._gpus, self._seconds[name])

    def of_the_rest(self) -> Needs:
        """Selection and reports, which the processors compute."""
        return Needs(self._cores, None, 0, None)

    def _largest_case(self, name: str) -> int:
        """Bytes of memory that preparing the largest case takes."""
        # imports the readers of images, which take long
        from autoseg.image.geometry import STRAIGHT, Geometry
        from planner.preprocess import bytes_needed

        plan = self._plan
        assert plan is not None
        planned = name if name in plan.configurations else next(iter(plan.configurations))
        # many cases are of one size
        sizes = {(case.shape, case.spacing) for case in self._cases}
        grids = (Geometry(shape, spacing, (0.0, 0.0, 0.0), STRAIGHT) for shape, spacing in sizes)
        return max(bytes_needed(grid, plan, planned) for grid in grids)

    @cached_property
    def _cases(self) -> tuple[CaseFingerprint, ...]:
        return read_fingerprint(self._run.fingerprint).cases

    def _seconds_of_a_fold(self, name: str) -> float | None:
        """Seconds of a fold: as the folds that are finished took, else as planned, else by the measured steps."""
        if self._plan is None or name not in self._plan.configurations:
            return None
        configuration = self._plan.configuration(name)
        training = configuration.training
        finished = read_finished_folds(self._run, name, range(self._scope.folds)).values()
        took = [one.seconds_training + one.seconds_validation for one in finished]
        if took:
            return SECONDS_TO_BEGIN + max(took)
        validation = training.validation_seconds or 0.0
        if training.seconds is not None and self._scope.request.epochs is None:
            return SECONDS_TO_BEGIN + training.seconds + validation
        step = self._measured_step(configuration)
        if step is None:
            return None
        epochs = self._scope.request.epochs
        steps = training.iterations if epochs is None else epochs * training.iterations_per_epoch
        return SECONDS_TO_BEGIN + steps * step + validation

    def _measured_step(self, configuration: Configuration) -> float | None:
        """Measured seconds of the step that was planned; None where none was measured."""
        if self._costs is None or self._costs.counted:
            return None
        of_this = (configuration.patch_size, configuration.batch_size, configuration.network)
        for step in reversed(self._costs.steps):
            if (step.patch_size, step.batch_size, step.network) == of_this and step.seconds is not None:
                return step.seconds
        return None
