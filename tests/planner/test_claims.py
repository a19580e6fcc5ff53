"""What processes that share cases leave behind where they are ended."""

import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from autoseg.errors import DatasetError
from planner.claims import do_each


@dataclass(frozen=True)
class Endless:
    """A case that takes for ever; another one fails as soon as that has begun."""

    folder: Path

    def is_done(self, console: Console) -> bool:
        return False

    def do_in(self, staging: Path) -> tuple[str, ...]:
        begun = self.folder.with_name("begun")
        if self.folder.name == "fails":
            while not begun.exists():
                time.sleep(0.01)
            raise DatasetError(["fails: is damaged"])
        (staging / "half").touch()
        begun.touch()
        time.sleep(600)
        return ()


def test_a_worker_that_is_ended_in_the_midst_of_a_case_leaves_no_claim(tmp_path: Path) -> None:
    tasks = [Endless(tmp_path / "endless"), Endless(tmp_path / "fails")]
    with pytest.raises(DatasetError, match="damaged"):
        do_each(tasks, 2, "Preprocessing", small=False, waits=True)
    assert [path.name for path in tmp_path.iterdir()] == ["begun"]
