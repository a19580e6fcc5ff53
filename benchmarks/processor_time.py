"""`autoseg` by the clock of its own processor time: other programs cannot change how many steps a fold takes.

    python -m benchmarks.processor_time train RUN --fold 0 --threads 1 --workers 0

With one thread and no other process, a second of processor time is what a second is on a quiet core.
"""

from __future__ import annotations

import time

from autoseg.commands.cli import main
from autoseg.machine import clock

if __name__ == "__main__":
    clock.now = time.process_time
    main()
