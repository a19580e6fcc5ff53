"""What is found in the files of a case: problems, warnings, and what was done to read them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from autoseg.errors import DatasetError


@dataclass
class Findings:
    """What is found in the files of one case.

    Args:
        case: name of the case.
        problems: sentences that begin with the case's name; with one of them the case cannot be used.
        warnings: the same for what is unusual.
        modalities: kind of scanner of each channel that is DICOM, such as `CT`, by number of the channel.
        done: what was done with pictures, each with its file, in words that are the same for every such file.
    """

    case: str
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    modalities: dict[int, str] = field(default_factory=dict)
    done: list[tuple[Path, str]] = field(default_factory=list)

    def problem(self, text: str) -> None:
        """Add a problem: the case cannot be used."""
        self.problems.append(f"{self.case}: {text}")

    def warn(self, text: str) -> None:
        """Add a warning: the case can be used."""
        self.warnings.append(f"{self.case}: {text}")

    def did(self, path: Path, *texts: str) -> None:
        """Add what was done with a picture."""
        self.done += [(path, text) for text in texts]

    def raise_problems(self) -> None:
        """Raise the problems, if there are any.

        Raises:
            DatasetError: there are problems; the error carries all of them.
        """
        if self.problems:
            raise DatasetError(self.problems)
