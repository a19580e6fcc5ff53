"""The style of all figures, which no settings file changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def own_style() -> Iterator[None]:
    """Draw with matplotlib's own settings in the block, also as a decorator of a function that draws.

    Matplotlib reads `matplotlibrc` in the current folder, which may be the RUN folder of a stranger. Such a file can
    make it start LaTeX with commands of its own.
    """
    # imported where it is used, since it takes long to import
    import matplotlib as mpl

    kept = {name: value for name, value in mpl.rcParamsDefault.items() if not name.startswith("backend")}
    with mpl.rc_context(kept):
        yield
