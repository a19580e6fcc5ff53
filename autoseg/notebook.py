"""Results that show themselves as tables in a notebook."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pandas import DataFrame

UNDEFINED = "not defined"
"""What a cell without a value shows."""

MOST_ROWS = 60
"""A longer table is shown in part, with the number of its rows."""


class ShownAsTable:
    """Base of results that have a table; Jupyter shows it in place of the object."""

    @property
    def heading(self) -> str:
        """What stands above the table."""
        return ""

    def to_frame(self) -> DataFrame:
        """Return the table."""
        raise NotImplementedError

    def _repr_html_(self) -> str:
        import pandas as pd

        frame = self.to_frame()
        # pandas writes None as such, and only nan as `na_rep`
        frame = frame.where(frame.notna(), float("nan"))
        # names come from files of others, so whatever they hold is text; and none is cut short
        with pd.option_context("display.max_colwidth", None):
            table = frame.to_html(
                escape=True,
                index=False,
                na_rep=UNDEFINED,
                float_format=lambda value: f"{value:.3f}",
                max_rows=MOST_ROWS,
                show_dimensions=True,
            )
        return f"<p>{escape(self.heading)}</p>\n{table}"
