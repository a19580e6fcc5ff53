"""Carry out a command of autoseg that kills itself with SIGKILL at a rename, or count its renames.

python -m tests.torture.killed_at_rename before 7 train RUN --fold 0
python -m tests.torture.killed_at_rename count FILE train RUN --fold 0
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from autoseg.commands.cli import main


def arm(when: str, where: str) -> None:
    """Wrap `os.replace` and `os.rename`, to which all renames in Python lead.

    Args:
        when: `before` or `after` the rename this process is killed; with `count` it goes on.
        where: number of the rename, from 1; with `count` a file that gets the number of renames so far.
    """
    seen = [0]
    number = 0 if when == "count" else int(where)

    def wrapped(real: Any) -> Any:
        def rename(*arguments: Any, **options: Any) -> None:
            seen[0] += 1
            if when == "count":
                Path(where).write_text(str(seen[0]), encoding="utf-8")
            if when == "before" and seen[0] == number:
                os.kill(os.getpid(), signal.SIGKILL)
            real(*arguments, **options)
            if when == "after" and seen[0] == number:
                os.kill(os.getpid(), signal.SIGKILL)

        return rename

    os.replace, os.rename = wrapped(os.replace), wrapped(os.rename)


if __name__ == "__main__":
    when, where, *arguments = sys.argv[1:]
    arm(when, where)
    main(arguments)
