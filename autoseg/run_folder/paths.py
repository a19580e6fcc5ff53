"""Every path inside a RUN folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from autoseg.errors import RunFolderError


@dataclass(frozen=True)
class RunFolder:
    """One self-contained run: what was read, planned, preprocessed, trained and evaluated.

    Args:
        path: the folder; need not exist yet.
    """

    path: Path

    @property
    def dataset(self) -> Path:
        """What was read from the raw data set."""
        return self.path / "dataset.json"

    @property
    def fingerprint(self) -> Path:
        """Measured properties of the data set."""
        return self.path / "fingerprint.json"

    @property
    def plan(self) -> Path:
        """The plan that is followed; a person may edit it."""
        return self.path / "plan.yaml"

    @property
    def planned(self) -> Path:
        """The plan as autoseg last wrote it, to tell a person's edits from its own decisions."""
        return self.path / "plan.as_planned.yaml"

    @property
    def planned_next(self) -> Path:
        """What takes the place of `planned` when `plan` is made again; there for a moment only."""
        return self.path / ".plan.as_planned.next.yaml"

    @property
    def reference_plan(self) -> Path:
        """The plan by nnU-Net's rules, before hardware and time were considered."""
        return self.path / "plan.reference.yaml"

    @property
    def step_costs(self) -> Path:
        """The training steps that were measured when the plan was made."""
        return self.path / "step_costs.json"

    @property
    def splits(self) -> Path:
        """Training and validation cases of each fold."""
        return self.path / "splits.json"

    @property
    def made_splits(self) -> Path:
        """The folds as autoseg made them, to tell a person's own from them."""
        return self.path / "splits.as_made.json"

    @property
    def time_spent(self) -> Path:
        """Seconds that each stage has taken so far, over restarts."""
        return self.path / "time_spent.json"

    @property
    def selected(self) -> Path:
        """What predicts, chosen by cross-validation; a person may edit it."""
        return self.path / "selected.json"

    @property
    def former_selection(self) -> Path:
        """A choice whose models were trained anew since, kept for a person who edited it."""
        return self.path / "selected.former.json"

    @property
    def report(self) -> Path:
        """Folder of metrics.csv, summary.json and report.html; `report_folder` says of which configuration."""
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
        """Names of the configurations that have a folder of folds, in order."""
        return tuple(sorted(path.name for path in (self.path / "models").glob("*")))

    def folds(self, configuration: str) -> tuple[tuple[int, Path], ...]:
        """Number and folder of every fold of a configuration that is there, in order.

        A folder of another name, such as a copy that a person kept, is none.
        """
        found = ((re.fullmatch(r"fold_(\d+)", path.name), path) for path in self.models(configuration).glob("fold_*"))
        return tuple(sorted((int(named[1]), path) for named, path in found if named))

    def begun_folds(self, configuration: str) -> tuple[tuple[int, Path], ...]:
        """Those of the folds that have weights or a checkpoint."""
        return tuple(
            (fold, path)
            for fold, path in self.folds(configuration)
            if self.weights(configuration, fold).exists() or any(path.glob("checkpoint/*"))
        )

    def trained_by(self, configuration: str, fold: int) -> Path:
        """The part of the plan that a fold's network depends on, as it was when the fold was begun."""
        return self.fold(configuration, fold) / "trained_by.json"

    def weights(self, configuration: str, fold: int) -> Path:
        """Weights that predict, apart from the training state."""
        return self.fold(configuration, fold) / "weights.safetensors"

    def finished(self, configuration: str, fold: int) -> Path:
        """Marker and summary of a fold whose training has ended as planned."""
        return self.fold(configuration, fold) / "finished.json"

    def cross_validation(self, configuration: str) -> Path:
        """Folder of label maps: each training case predicted by the model that did not see it."""
        return self.path / "cross_validation" / configuration

    def probabilities(self, configuration: str) -> Path:
        """Folder of the class probabilities behind those label maps."""
        return self.cross_validation(configuration) / "probabilities"

    def require(self, path: Path, command: str) -> Path:
        """Return `path` if it exists.

        Raises:
            RunFolderError: it does not; the message names the command that makes it.
        """
        if not path.exists():
            raise RunFolderError(f"{path}: does not exist; `{command}` makes it")
        return path
