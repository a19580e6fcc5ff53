"""Which scores of lesions hold for a prediction: those that were fitted to the models and rules that predict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console

from autoseg.plan.plan import Plan
from autoseg.run_folder.lesion_scores import LesionScores
from autoseg.run_folder.selection import ClassRule


def fitting_scores(
    scores: Sequence[LesionScores],
    rules: Sequence[ClassRule],
    configurations: Sequence[str],
    plan: Plan,
    console: Console,
) -> Iterator[LesionScores]:
    """The scores that were fitted to what predicts; classes of lesions without one are told.

    Args:
        scores: scores of the classes of lesions, as selected.
        rules: post-processing rules that are applied.
        configurations: names of the configurations that predict together.
        plan: names the classes of lesions.
        console: prints which classes get no scores, and why.
    """
    texts, fitted = {rule.name: rule.text() for rule in rules}, {of_class.name: of_class for of_class in scores}
    for name in plan.lesions:
        of_class, applied = fitted.get(name), texts.get(name, "none")
        if of_class is None:
            why = "`autoseg select` fits them, where cross-validation has enough predicted lesions"
        elif of_class.rule != applied or of_class.configurations != tuple(configurations):
            why = (
                f"they were fitted to {' + '.join(of_class.configurations)} with post-processing {of_class.rule}, and "
                f"{' + '.join(configurations)} with {applied} predicts; `autoseg select` fits them anew"
            )
        else:
            yield of_class
            continue
        console.print(f"Predicted lesions of {name} get no scores: {why}", style="yellow", soft_wrap=True)
