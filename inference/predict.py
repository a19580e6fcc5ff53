"""Predicts new images with an ensemble. In: images. Out: label maps in each image's own geometry and format.

An ensemble may mix configurations. Each configuration preprocesses the image in its own way and averages its folds;
these means are then averaged on the grid of the image. Post-processing follows the rule of each class.

The models are loaded once. While a case is predicted, the next one is read and prepared, and the one before is
brought to its grid and written, where that saves time and the memory holds them. A case that cannot be predicted is
reported, and the other cases go on. Outputs are written atomically, so every file is complete.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from autoseg.dataset.case import Case
from autoseg.dataset.fingerprint import read_fingerprint
from autoseg.errors import AutosegError, InputError, LockTakenOver
from autoseg.machine.device import resolve_device
from autoseg.machine.overlap import may_overlap, overlapped
from autoseg.machine.threads import Threads, computing_with
from autoseg.memory import lacks_memory
from autoseg.names import listed, visible
from autoseg.plan.plan import Plan, read_plan
from autoseg.results import WrittenFile
from autoseg.run_folder.lesion_scores import LesionScores
from autoseg.run_folder.lock_holder import PATIENCE
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.selection import ClassRule, rules_by_class
from autoseg.terminal import open_console, progress_bar, styled
from inference.case_table import CaseTable, most_rows
from inference.ensemble_groups import load_group, members_of
from inference.lesion_scores.table import FILE, LESIONS
from inference.measurements.check_order import tell_order
from inference.measurements.kept_members import kept_members, why_not
from inference.measurements.table import MEASUREMENTS, read_lines, refuse_other_images
from inference.output_files import image_of, output_ending, output_files, refuse_overwriting, require_places
from inference.outputs import MEMBERS, Outputs, Wrote, further_files, write_outputs
from inference.predict_image import (
    LoadedModels,
    PredictedImage,
    PreparedImage,
    image_bytes,
    predict_image,
    prepare_image,
)
from inference.predicted_part import limits
from inference.shared_output import LeftToOthers, SharedOutput, sharing
from inference.skip_existing import cases_done, left_to_do
from inference.writers import OutputFormat, writer_for

TO_OTHERS = "left to another process"


def predict_cases(
    run: RunFolder,
    cases: Sequence[Case],
    output: Path,
    *,
    configuration: str | Sequence[str],
    folds: Sequence[int] | None = None,
    rules: Sequence[ClassRule] = (),
    scores: Sequence[LesionScores] = (),
    device: str = "auto",
    mirror: bool | None = None,
    save_probabilities: bool = False,
    whole_image: bool = False,
    agreement: bool | None = None,
    save_members: bool = False,
    preview: bool = False,
    skip_existing: bool = False,
    threads: int | None = None,
    console: Console | None = None,
    output_format: OutputFormat | None = None,
    wrote: Wrote = lambda file: None,
    part: tuple[int, int] = (0, 1),
    patience: float = PATIENCE,
) -> tuple[str, ...]:
    """Predict label maps `OUTPUT/CASE.ENDING` in the file format of each input, or in the format that is asked for.

    Every class is measured in `OUTPUT/measurements.csv`. Where the plan has lesions, the predicted ones are listed in
    `OUTPUT/predicted_lesions.csv`.

    Args:
        run: RUN folder that holds the plan and the trained folds.
        cases: names and image files of the cases to predict.
        output: folder for the label maps; it is created where it does not exist.
        configuration: name of the configuration, or several names, whose probabilities are averaged.
        folds: folds to use of each configuration; None = all finished ones.
        rules: post-processing rules; a class without a rule is left as predicted.
        scores: how predicted lesions are scored; those of other classes have no score.
        mirror: whether to mirror along every axis that training mirrored (test-time augmentation); None = as the
            plan says.
        save_probabilities: also write the probability of each class, `OUTPUT/probabilities/CASE/label_VALUE`.
        whole_image: predict images whole, although the plan has a region.
        agreement: whether to measure how far the members agree; None = where that takes hardly any time.
        save_members: also write the label map of each member, `OUTPUT/members/CONFIG_FOLD/CASE.ENDING`.
        preview: also draw `OUTPUT/preview/CASE.png`.
        skip_existing: leave cases as they are of which all outputs are there.
        device: `auto`, `cpu`, `cuda` or `mps`.
        threads: threads that compute on a CPU; None = as many as there are cores that other programs leave free.
        console: prints progress and warnings; None = standard error.
        output_format: format of the predictions; None = that of each input.
        wrote: called with each file once it is written.
        part: number of the part of the cases that is predicted, from 0, and number of parts.
        patience: seconds after which a process of another machine, which predicts into the same folder, counts as gone.

    Returns:
        One sentence for each case that could not be predicted, with its name.

    Raises:
        RunFolderError, PlanError: nothing is trained, or the run is damaged.
        InputError: there is no case, an output would overwrite an input or another output, the device is absent, the
            folder has another file called `predicted_lesions.csv` or `measurements.csv`, or the format cannot hold the
            predictions.
    """
    console = console or open_console(stderr=True)
    plan = read_plan(run.plan)
    writer = writer_for(output_format or OutputFormat(), cases, output, plan, output_ending)
    targets = output_files(cases, output, writer.endings)
    # foreign files of their names are refused before anything is loaded
    table, measurements = _lesion_table(output, plan), CaseTable(output, MEASUREMENTS)
    further = partial(
        further_files,
        ending=writer.beside_ending,
        preview=preview,
        probabilities=plan.labels if save_probabilities else None,
    )
    without_members = [further(case.name, target, members=()) for case, target in zip(cases, targets, strict=True)]
    require_places(
        [*chain.from_iterable(without_members), *([output / MEMBERS / "any"] if save_members else [])], output
    )
    refuse_overwriting(cases, tuple(chain.from_iterable(without_members)))
    refuse_other_images(output, {case.name: image_of(case) for case in cases})
    names = (configuration,) if isinstance(configuration, str) else tuple(configuration)
    where = resolve_device(device)
    fingerprint = read_fingerprint(run.fingerprint)
    # pictures get the size of their pixels by the rule of the training cases
    cases = [replace(case, pixel_spacing=fingerprint.pixel_spacing) for case in cases]
    groups = tuple(load_group(run, plan, name, folds, device=where, mirror=mirror, console=console) for name in names)
    beside = [
        further(case.name, target, members=members_of(case, groups, plan) if save_members else ())
        for case, target in zip(cases, targets, strict=True)
    ]
    refuse_overwriting(cases, tuple(chain.from_iterable(beside)))
    every_case = cases
    if skip_existing:
        measured = {line.case for line in read_lines(output)}
        done = cases_done(cases, targets, beside, measured)
        cases, targets = left_to_do(cases, targets, done)
        console.print(f"{len(done)} of {len(every_case)} are predicted already and left as they are.")
    if part[1] > 1:
        cases, targets = tuple(cases)[part[0] :: part[1]], tuple(targets)[part[0] :: part[1]]
        console.print(f"Part {part[0] + 1} of {part[1]}: {len(cases)} of {len(every_case)} cases.")
    by_class = rules_by_class(rules, plan.labels)
    if (why := why_not(groups, agreement)) is not None:
        console.print(why)
    models = LoadedModels(
        plan.changed(region=None) if whole_image else plan,
        fingerprint,
        groups,
        by_class,
        kept_members(groups, by_class, plan, agreement, needed=save_members),
    )
    outputs = Outputs(
        writer,
        measurements,
        table,
        {of_class.name: of_class for of_class in _fitting(scores, rules, names, plan, console)},
        wrote,
        save_probabilities=save_probabilities,
        save_members=save_members,
        preview=preview,
        agreement=agreement is not False,
    )
    for note in writer.notes:
        console.print(visible(note), style="yellow", markup=False, soft_wrap=True)
    for written in writer.begin():
        wrote(written)
    if models.plan.region is not None:
        console.print(limits(models.plan.region))
    job = repr((names, folds, rules, mirror, whole_image, output_format, save_probabilities, save_members))
    job += repr((preview, agreement, plan, [(group.name, len(group.members)) for group in groups])) + _trained(
        run, names
    )
    with (
        sharing(output, job, patience=patience) as shared,
        # entered first, so that its last rows are written last: where they are, a case is done
        measurements,
        table or nullcontext(),
        progress_bar(console) as bar,
        computing_with(threads if where.type == "cpu" else None) as computing,
    ):
        following = computing if where.type == "cpu" else None
        target_of = dict(zip((case.name for case in cases), targets, strict=True))
        problems = _predict_each(models, outputs, cases, target_of, bar, following, shared)
        _publish(outputs, shared, now=True)
        others = [case for case, problem in zip(cases, problems, strict=True) if problem == TO_OTHERS]
        for left in shared.left_behind(others):
            problems += _predict_each(models, outputs, left, target_of, bar, following, shared)
            _publish(outputs, shared, now=True)
    for one, kind in ((table, LESIONS), (measurements, MEASUREMENTS)):
        if one is not None and one.left_out:
            console.print(
                f"{output / kind.file}: rows of {listed(one.left_out)} are left out: {most_rows(kind):,} rows are read "
                "at most; predict them into another folder",
                style="yellow",
                markup=False,
                soft_wrap=True,
            )
    if plan.lesions:
        wrote(WrittenFile("", "predicted lesions", output / FILE))
        console.print(f"Predicted lesions: {output / FILE}", soft_wrap=True)
    wrote(WrittenFile("", "measurements", output / MEASUREMENTS.file))
    console.print(f"Measurements: {output / MEASUREMENTS.file}", soft_wrap=True)
    tell_order(output, {case.name for case in every_case}, fingerprint, console)
    if others:
        console.print(f"{len(others)} of {len(cases)} are left to other processes that predict into the same folder.")
    return tuple(problem for problem in problems if problem not in (None, TO_OTHERS))


def _publish(outputs: Outputs, shared: SharedOutput, *, now: bool = False) -> None:
    """Tell other processes of the finished cases once their rows are written."""
    tables = [table for table in (outputs.lesions, outputs.measurements) if table is not None]
    if now:
        for table in tables:
            table.write()
    if not any(table.waits for table in tables):
        shared.publish()


def _trained(run: RunFolder, names: Sequence[str]) -> str:
    """What tells one training of the models from another one."""
    finished = (run.finished(name, fold) for name in names for fold, _ in run.folds(name))
    return "".join(file.read_text(encoding="utf-8") for file in finished if file.exists())


def _predict_each(
    models: LoadedModels,
    outputs: Outputs,
    cases: Sequence[Case],
    target_of: Mapping[str, Path],
    bar: Progress,
    computing: Threads | None,
    shared: SharedOutput,
) -> list[str | None]:
    """Predict the cases, up to three at once; for each a sentence that says why it could not be predicted, or None.

    A case that another process predicts gets the sentence `TO_OTHERS`.
    """
    cases_task = bar.add_task("cases", total=len(cases))
    windows_task = bar.add_task("windows", total=None)
    on_window = partial(_after_window, bar.update, windows_task, computing)

    def prepare(case: Case) -> PreparedImage:
        shared.claim(case)
        outputs.writer.require(case)
        return prepare_image(models, case)

    def compute(case: Case, prepared: PreparedImage) -> PredictedImage:
        bar.update(cases_task, description=f"cases ({visible(case.name)})")
        bar.reset(windows_task, total=None)
        return predict_image(models, prepared, case.name, bar.console.print, on_window)

    def finish(case: Case, predicted: PredictedImage) -> None:
        with shared.writing(case):
            write_outputs(outputs, models, predicted, case, target_of[case.name], bar.console.print)
        shared.finish(case)
        _publish(outputs, shared)
        bar.advance(cases_task)

    def failed(case: Case, error: Exception) -> str:
        bar.advance(cases_task)
        shared.give_up(case)
        if isinstance(error, LeftToOthers | LockTakenOver):
            return TO_OTHERS
        return _told(case, error, bar.console)

    together = may_overlap(models.device, partial(image_bytes, models))
    problems = overlapped(cases, prepare, compute, finish, together=together, failed=failed)
    bar.update(cases_task, description="cases")
    bar.remove_task(windows_task)
    return problems


def _lesion_table(output: Path, plan: Plan) -> CaseTable | None:
    """`predicted_lesions.csv`; without lesions only one that is there, so that no row outlives its label map."""
    if plan.lesions:
        return CaseTable(output, LESIONS)
    with suppress(InputError):
        return CaseTable(output, LESIONS, lists=False) if (output / FILE).exists() else None
    return None


def _fitting(
    scores: Sequence[LesionScores],
    rules: Sequence[ClassRule],
    configurations: Sequence[str],
    plan: Plan,
    console: Console,
) -> Iterator[LesionScores]:
    """The scores that were fitted to what predicts; classes of lesions without one are told."""
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


def _told(case: Case, error: Exception, console: Console) -> str:
    """Print why a case could not be predicted, and return it as a sentence with the case's name."""
    if isinstance(error, AutosegError | OSError):
        reason = str(error) or type(error).__name__
    elif lacks_memory(error):
        reason = "there is not enough memory to predict it; free some, or predict it alone"
    else:
        # a bug, not the user's mistake: the other cases go on, and the whole traceback is shown
        console.print("".join(traceback.format_exception(error)))
        reason = f"unexpected {type(error).__name__}: {error}"
    problem = reason if reason.startswith(f"{case.name}: ") else f"{case.name}: {reason}"
    console.print(styled("red", "not predicted", f" {problem}"))
    return problem


def _after_window(update: Callable[..., None], task: object, computing: Threads | None, done: int, total: int) -> None:
    """Show the progress, and adapt the number of threads to the cores that other programs leave free."""
    update(task, completed=done, total=total)
    if computing is not None:
        computing.follow()
