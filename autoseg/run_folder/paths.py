"""Every path inside a RUN folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from autoseg.errors import RunFolderError
from autoseg.plan.plan import PLANNED_NAME
from autoseg.run_folder.folder_of_units import FolderOfUnits

_FOLD = re.compile(r"fold_(0|[1-9][0-9]{0,8})")


@dataclass(frozen=True)
class RunFolder(FolderOfUnits):
    """Folder of one self-contained run, and the paths of everything in it.

    Args:
        path: path of the folder; it need not exist yet.
    """

    @property
    def dataset(self) -> Path:
        """File that records what was read from the raw data set."""
        return self.path / "dataset.json"

    @property
    def fingerprint(self) -> Path:
        """File of the measured properties of the data set."""
        return self.path / "fingerprint.json"

    @property
    def plan(self) -> Path:
        """File of the plan that the run follows; the user may edit it."""
        return self.path / "plan.yaml"

    @property
    def planned(self) -> Path:
        """File of the plan as autoseg last wrote it; where `plan` differs from it, the user edited `plan`."""
        return self.path / PLANNED_NAME

    @property
    def planned_next(self) -> Path:
        """Temporary file that replaces `planned` when the plan is made again."""
        return self.path / ".plan.as_planned.next.yaml"

    @property
    def reference_plan(self) -> Path:
        """File of the plan by nnU-Net's rules, before hardware and time were considered."""
        return self.path / "plan.reference.yaml"

    @property
    def step_costs(self) -> Path:
        """File of the training steps that were measured when the plan was made."""
        return self.path / "step_costs.json"

    @property
    def splits(self) -> Path:
        """File of the training and validation cases of each fold; the user may replace it."""
        return self.path / "splits.json"

    @property
    def made_splits(self) -> Path:
        """File of the folds as autoseg made them; where `splits` differs from it, the folds are the user's own."""
        return self.path / "splits.as_made.json"

    @property
    def time_spent(self) -> Path:
        """File of the seconds that each stage has taken so far, summed over restarts."""
        return self.path / "time_spent.json"

    @property
    def request(self) -> Path:
        """File of what the person asked of `autoseg run`."""
        return self.work / "request.json"

    @property
    def dataset_changed(self) -> Path:
        """File that is there as long as the data set may be another than the plan was made for, for the unit `plan`."""
        return self.work / "dataset.changed"

    @property
    def selected(self) -> Path:
        """File of the configurations and post-processing chosen by cross-validation; the user may edit it."""
        return self.path / "selected.json"

    @property
    def suspects(self) -> Path:
        """File of suspected errors of the annotation, which `autoseg select` writes."""
        return self.path / "suspects.csv"

    @property
    def former_selection(self) -> Path:
        """File of a former selection whose models have been trained anew; kept in case the user edited it."""
        return self.path / "selected.former.json"

    @property
    def report(self) -> Path:
        """Folder of metrics.csv, summary.json and report.html; see `report_folder` for the configuration it is of."""
        return self.path / "report"

    @property
    def study(self) -> Path:
        """Folder of study.html, results.csv and the tables of a study."""
        return self.path / "study"

    def preprocessed(self, configuration: str) -> Path:
        """Folder of the preprocessed cases of a configuration."""
        return self.path / "preprocessed" / configuration

    def case(self, configuration: str, case: str) -> Path:
        """Folder of one preprocessed case."""
        return self.preprocessed(configuration) / case

    def models(self, configuration: str) -> Path:
        """Folder of the trained folds of a configuration."""
        return self.path / "models" / configuration

    def fold(self, configuration: str, fold: int) -> Path:
        """Folder of one trained fold."""
        return self.models(configuration) / f"fold_{fold}"

    def configurations_with_models(self) -> tuple[str, ...]:
        """Names of the configurations that have a folder under `models`, in alphabetical order."""
        return tuple(sorted(path.name for path in (self.path / "models").glob("*")))

    def folds(self, configuration: str) -> tuple[tuple[int, Path], ...]:
        """Number and folder of every fold of a configuration that exists on disk, in order of the numbers.

        Folders of other names, such as a copy that the user kept, do not count.
        """
        found = ((_FOLD.fullmatch(path.name), path) for path in self.models(configuration).glob("fold_*"))
        return tuple(sorted((int(named[1]), path) for named, path in found if named))

    def begun_folds(self, configuration: str) -> tuple[tuple[int, Path], ...]:
        """Number and folder of every fold of a configuration that has weights or a checkpoint."""
        return tuple(
            (fold, path)
            for fold, path in self.folds(configuration)
            if self.weights(configuration, fold).exists() or any(path.glob("checkpoint/*"))
        )

    def trained_by(self, configuration: str, fold: int) -> Path:
        """File of the plan settings that a fold is trained with, as they were when the fold began."""
        return self.fold(configuration, fold) / "trained_by.json"

    def trained_on(self, configuration: str, fold: int) -> Path:
        """File of the content of the cases that a fold is trained on, as it was when the fold began."""
        return self.fold(configuration, fold) / "trained_on.json"

    def weights(self, configuration: str, fold: int) -> Path:
        """File of the weights that prediction uses; checkpoints of the training state are stored apart."""
        return self.fold(configuration, fold) / "weights.safetensors"

    def training_log(self, configuration: str, fold: int) -> Path:
        """File of what the process printed that trained a fold beside others."""
        return self.fold(configuration, fold) / "training.log"

    def finished(self, configuration: str, fold: int) -> Path:
        """File that marks a fold as finished and summarises its training."""
        return self.fold(configuration, fold) / "finished.json"

    def is_finished(self, configuration: str, fold: int) -> bool:
        """Whether a fold has been trained to its end and its validation cases are predicted."""
        return self.finished(configuration, fold).exists()

    def cross_validation(self, configuration: str) -> Path:
        """Folder of out-of-fold label maps: each case is predicted by the fold that was not trained on it."""
        return self.path / "cross_validation" / configuration

    def probabilities(self, configuration: str) -> Path:
        """Folder of the class probabilities that the label maps in `cross_validation` are made from."""
        return self.cross_validation(configuration) / "probabilities"

    def require(self, path: Path, command: str) -> Path:
        """Return `path` if it exists.

        Args:
            path: file or folder of the run that is needed.
            command: command that makes it, for the message.

        Raises:
            RunFolderError: `path` does not exist; the message names the command.
        """
        if not path.exists():
            raise RunFolderError(f"{path}: does not exist; `{command}` makes it")
        return path
