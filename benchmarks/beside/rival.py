"""Runs an unmodified nnU-Net v2, installed in a virtual environment of its own, by its own commands.

nnU-Net reads the paths of its three folders from environment variables, which every call sets.
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
    """nnU-Net v2 and its folders.

    Args:
        environment: folder of the virtual environment in which nnU-Net is installed.
        folder: folder for everything that nnU-Net reads and writes.
    """

    environment: Path
    folder: Path

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables with nnU-Net's folders of raw data, preprocessed data and results."""
        return {f"nnUNet_{kind}": str(self.folder / kind) for kind in ("raw", "preprocessed", "results")}

    @property
    def versions(self) -> dict[str, str]:
        """Versions of nnU-Net and of torch in its environment."""
        code = "from importlib.metadata import version as v; print(v('nnunetv2'), v('torch'))"
        python = self.environment / "bin" / "python"
        told = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        return {"nnU-Net v2": told[0], "its torch": told[1]}

    def call(
        self, command: str, arguments: Sequence[str | Path], log: str, *, most_bytes: int | None = None
    ) -> Measured:
        """Run a command of nnU-Net, such as `nnUNetv2_train`, and measure it.

        Args:
            command: name of the command.
            arguments: arguments of the command, as a user would give them.
            log: name, without ending, of the file to which the output is written.
            most_bytes: memory limit, above which the command is killed; None = no limit.

        Raises:
            CommandFailed: the command did not end with status 0.
            OutOfMemory: the command took more than `most_bytes`.
        """
        return measure(
            [self.environment / "bin" / command, *arguments],
            self.folder / "logs" / f"{log}.txt",
            environment=self.variables,
            most_bytes=most_bytes,
        )

    def ask(self, script: str, arguments: Sequence[str | Path], *, most_bytes: int | None = None) -> Any:
        """Run a script of `inside_rival` in nnU-Net's environment, and return the JSON that it writes.

        Args:
            script: name of the script, without `.py`.
            arguments: arguments of the script, except the last one, which is the file of its answer.
            most_bytes: memory limit, above which the script is killed; None = no limit.
        """
        answer = self.folder / "answers" / f"{script}.json"
        answer.parent.mkdir(parents=True, exist_ok=True)
        path = Path(__file__).parent / "inside_rival" / f"{script}.py"
        self.call("python", [path, *arguments, answer], script, most_bytes=most_bytes)
        return json.loads(answer.read_text(encoding="utf-8"))

    def preprocessed(self, number: int) -> Path:
        """Folder of nnU-Net's preprocessed data and plan of the data set with this number."""
        return next((self.folder / "preprocessed").glob(f"Dataset{number:03d}_*"))

    def preprocess(self, number: int, log: str) -> Measured:
        """Run nnU-Net's fingerprint, planning and preprocessing of the configuration `3d_fullres`."""
        processes = str(available_cores())
        arguments = ["-d", str(number), "-c", "3d_fullres", "-np", processes, "-npfp", processes]
        return self.call("nnUNetv2_plan_and_preprocess", arguments, log)

    def give_splits(self, number: int, splits: Path) -> None:
        """Make nnU-Net use the folds of a `splits.json`, which has the layout of its own `splits_final.json`."""
        shutil.copyfile(splits, self.preprocessed(number) / "splits_final.json")

    def add_dataset(self, number: int, source: Path) -> Path:
        """Create a data set in nnU-Net's layout, with links to the files of another one.

        Args:
            number: nnU-Net's number of the data set.
            source: folder of a data set in any layout that autoseg reads.

        Returns:
            Folder of the new data set.
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
        """Delete nnU-Net's preprocessed data and plan of a data set, so that they are made again."""
        for folder in (self.folder / "preprocessed").glob(f"Dataset{number:03d}_*"):
            shutil.rmtree(folder)


def _link(file: Path | None, link: Path) -> None:
    if file is not None and not link.exists():
        link.symlink_to(file.resolve())
