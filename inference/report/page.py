"""Makes `report.html`, one file that needs neither the internet nor other files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from importlib.metadata import PackageNotFoundError, version

from jinja2 import BaseLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from autoseg.metrics import CaseMetrics, Summary
from autoseg.metrics.summary import ClassSummary, GroupSummary, Spread
from autoseg.names import visible
from autoseg.run_folder.selection import weakness
from inference.lesion_scores.froc import RATES, sensitivity_at
from inference.report.charts import box_plots, dice_by_size, lesion_curves, training_curves
from inference.report.encode import svg
from inference.report.pictures import Picture
from inference.report.plane import PREDICTION_COLOUR, REFERENCE_COLOUR
from inference.report.run_facts import RunFacts
from inference.report.suspect_pictures import SuspectPicture

NOT_DEFINED = "–"
MOST_LINES = 1_000
"""A table of more lines is shown in pages."""

LINES_OF_PAGE = 200
MOST_LINES_IN_PAGES = 50_000
"""Of a table of more lines only its totals are shown, and the file that holds all of it is named."""

# a class whose name contains one of these is a lesion: the page states at the top how many of its components are found
_LESIONS = ("lesion", "metasta", "tumor", "tumour", "nodule")


def page(
    summary: Summary,
    rows: Sequence[CaseMetrics],
    *,
    pictures: Sequence[Picture],
    facts: RunFacts | None,
    folds: Mapping[str, int],
    suspects: Sequence[SuspectPicture] = (),
    not_annotated: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """The HTML of the page.

    Args:
        summary: means and lesion counts over all `rows`.
        rows: metrics of every case and class.
        pictures: pictures of the best, median and worst case.
        facts: facts about data, plan and training of the run; None where two folders were compared.
        folds: index of the fold that each case was validated in, by case name; may be empty.
        suspects: suspected errors of the annotation, with pictures.
        not_annotated: names of the classes that nobody looked for, by case name; None = all were looked for everywhere.
    """
    environment = page_environment(PackageLoader("inference", "report"))
    environment.filters.update(
        sensitivity_at=sensitivity_at, signed=signed, value=measure, spread=spread, by_class=by_class_of_group
    )
    return environment.get_template("template.html").render(
        summary=summary,
        rows=rows,
        pictures=pictures,
        facts=facts,
        suspects=suspects,
        folds=folds,
        not_annotated=not_annotated or {},
        weakness=weakness(summary.mean_dice) if facts else None,
        boxes=svg(box_plots(rows)) if rows else None,
        sizes=svg(dice_by_size(rows)) if any(row.reference_ml > 0 for row in rows) else None,
        curves=svg(training_curves(facts.logs)) if facts and facts.logs else None,
        detection=svg(lesion_curves(facts.selection)) if facts and facts.selection and facts.selection.froc else None,
        froc_rates=RATES,
        lesion_classes=[c for c in summary.classes if any(word in c.name.casefold() for word in _LESIONS)],
        several_lesions=any(len(row.lesions.lesions) > 1 for row in rows),
        reference_colour=REFERENCE_COLOUR,
        prediction_colour=PREDICTION_COLOUR,
        has_pages=_longest(summary, rows) > MOST_LINES,
        today=date.today().isoformat(),
        version=installed_version(),
    )


def page_environment(loader: BaseLoader) -> Environment:
    """The environment of a page's template, with what `shared.html` needs.

    Args:
        loader: finds the templates; `shared.html` and `pager.js` are in `inference/report`.
    """
    environment = Environment(
        loader=loader,
        autoescape=True,
        finalize=as_written,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, percent=percent, compact=compact)
    environment.globals.update(
        most_lines=MOST_LINES, most_lines_in_pages=MOST_LINES_IN_PAGES, lines_of_page=LINES_OF_PAGE
    )
    return environment


def _longest(summary: Summary, rows: Sequence[CaseMetrics]) -> int:
    """Number of lines of the longest table of the page."""
    by_stratum = (sum(len(group.classes) for group in groups) for groups in summary.strata.values())
    return max(len(rows), len(summary.folds), *map(len, summary.strata.values()), *by_stratum)


def by_class_of_group(groups: Sequence[GroupSummary]) -> list[tuple[GroupSummary, ClassSummary]]:
    """Each group with each of its classes, a line of a table."""
    return [(group, of_class) for group in groups for of_class in group.classes]


def compact(html: Markup) -> Markup:
    """Leave out the ends of cells and lines of a table, which HTML does not need; names in it are escaped before."""
    return Markup(str(html).replace("</td>", "").replace("</tr>", ""))


def as_written(value: object) -> object:
    """Show control characters of a text as signs; HTML in it is escaped by the template."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def number(value: float | None, digits: int = 3) -> str:
    """Text of a number; `NOT_DEFINED` where it is None."""
    return NOT_DEFINED if value is None else f"{value:.{digits}f}"


def measure(value: float | None, digits: int, sign: bool) -> str:
    """Text of a number, with its sign where `sign` is true."""
    return signed(value, digits) if sign else number(value, digits)


def signed(value: float | None, digits: int = 2) -> str:
    """Text of a number with its sign, + or −; a number that rounds to zero has no sign."""
    if value is None:
        return NOT_DEFINED
    text = f"{value:+.{digits}f}"
    return (text if float(text) else text[1:]).replace("-", "−")


def percent(value: float | None, digits: int = 0) -> str:
    """Text of a share from 0 to 1, in percent."""
    return NOT_DEFINED if value is None else f"{100 * value:.{digits}f} %"


def spread(of: Spread, digits: int = 3) -> str:
    """Text `mean ± standard deviation`; the mean alone where there is no deviation."""
    return number(of.mean, digits) + ("" if of.sd is None else f" ± {of.sd:.{digits}f}")


def installed_version() -> str:
    """Installed version of autoseg; empty where the package is not installed."""
    try:
        return version("autoseg-framework")
    except PackageNotFoundError:
        return ""
