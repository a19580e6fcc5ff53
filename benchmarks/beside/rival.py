"""nnU-Net v2 as it is installed in a virtual environment of its own, unmodified, and called by its own commands.

Its three folders are given to its processes as environment variables, in which it wants them.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoseg.dataset.read import read_dataset
from autoseg.machine.cores import available_cores
from benchmarks.process import Measured, measure


@dataclass(frozen=True)
class Rival:
    """nnU-Net and its folders.

    Args:
        environment: its virtual environment.
        folder: for all that it reads and writes.
    """

    environment: Path
    folder: Path

    @property
    def variables(self) -> dict[str, str]:
        """Where it looks for raw and preprocessed data and writes models."""
        return {f"nnUNet_{kind}": str(self.folder / kind) for kind in ("raw", "preprocessed", "results")}

    @property
    def versions(self) -> dict[str, str]:
        """Of it and of the torch beside it."""
        code = "from importlib.metadata import version as v; print(v('nnunetv2'), v('torch'))"
        python = self.environment / "bin" / "python"
        told = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        return {"nnU-Net v2": told[0], "its torch": told[1]}

    def call(
        self, command: str, arguments: Sequence[str | Path], log: str, *, most_bytes: int | None = None
    ) -> Measured:
        """Run one of its commands, such as `nnUNetv2_train`.

        Args:
            command: its name.
            arguments: as its user would give them.
            log: name of the file for what it prints.
            most_bytes: of memory, at which it is ended.

        Raises:
            CommandFailed: it did not end well.
            OutOfMemory: it took more than it may.
        """
        return measure(
            [self.environment / "bin" / command, *arguments],
            self.folder / "logs" / f"{log}.txt",
            environment=self.variables,
            most_bytes=most_bytes,
        )

    def ask(self, script: str, arguments: Sequence[str | Path], *, most_bytes: int | None = None) -> Any:
        """Run one of the scripts in `inside_rival` in its environment; what that answers."""
        answer = self.folder / "answers" / f"{script}.json"
        answer.parent.mkdir(parents=True, exist_ok=True)
        path = Path(__file__).parent / "inside_rival" / f"{script}.py"
        self.call("python", [path, *arguments, answer], script, most_bytes=most_bytes)
        return json.loads(answer.read_text(encoding="utf-8"))

    def preprocessed(self, number: int) -> Path:
        """Folder of what it made of a data set, in which its plan is."""
        return next((self.folder / "preprocessed").glob(f"Dataset{number:03d}_*"))

    def preprocess(self, number: int, log: str) -> Measured:
        """Fingerprint, plan and preprocess the 3D configuration of full resolution."""
        processes = str(available_cores())
        arguments = ["-d", str(number), "-c", "3d_fullres", "-np", processes, "-npfp", processes]
        return self.call("nnUNetv2_plan_and_preprocess", arguments, log)

    def give_splits(self, number: int, splits: Path) -> None:
        """Make it train and validate on the folds of a `splits.json`, which has the layout of its own file."""
        shutil.copyfile(splits, self.preprocessed(number) / "splits_final.json")

    def add_dataset(self, number: int, source: Path) -> Path:
        """Bring a data set into its layout, as links to the same files; the folder.

        Args:
            number: by which it calls it.
            source: in any layout that autoseg reads.
        """
        dataset = read_dataset(source)
        folder = self.folder / "raw" / f"Dataset{number:03d}_{source.name}"
        if (folder / "dataset.json").exists():
            return folder
        ending = dataset.file_ending
        for name in ("imagesTr", "labelsTr"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for case in dataset.cases:
            for channel, image in enumerate(case.images):
                _link(image, folder / "imagesTr" / f"{case.name}_{channel:04d}{ending}")
            _link(case.label, folder / "labelsTr" / f"{case.name}{ending}")
        declared = {
            "channel_names": {str(i): name for i, name in enumerate(dataset.channels)},
            "labels": dict(zip(dataset.labels.names, dataset.labels.values, strict=True)),
            "numTraining": len(dataset.cases),
            "file_ending": ending,
        }
        (folder / "dataset.json").write_text(json.dumps(declared, indent=1), encoding="utf-8")
        return folder

    def forget_preprocessed(self, number: int) -> None:
        """Remove what it made of a data set, so that it is made anew."""
        for folder in (self.folder / "preprocessed").glob(f"Dataset{number:03d}_*"):
            shutil.rmtree(folder)


def _link(file: Path | None, link: Path) -> None:
    if file is not None and not link.exists():
        link.symlink_to(file.resolve())
