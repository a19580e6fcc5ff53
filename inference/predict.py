"""Predicts new images with an ensemble. In: images. Out: label maps in each image's own geometry and format.

An ensemble may mix configurations. Each configuration preprocesses the image in its own way and averages its folds;
these means are then averaged on the grid of the image. Post-processing follows the rule of each class.

The models are loaded once. While a case is predicted, the next one is read and prepared, and the one before is
brought to its grid and written, where that saves time and the memory holds them. A case that cannot be predicted is
reported, and the other cases go on. Outputs are written atomically, so every file is complete.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from autoseg.dataset.case import Case
from autoseg.dataset.fingerprint import read_fingerprint
from autoseg.dataset.load import require_sound
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
from inference.lesion_scores.fitting import fitting_scores
from inference.lesion_scores.table import FILE, LESIONS
from inference.measurements.check_order import tell_order
from inference.measurements.kept_members import kept_members, why_not
from inference.measurements.table import MEASUREMENTS, read_lines, refuse_other_images
from inference.output_files import image_of, output_ending
from inference.outputs import Outputs, Wrote, write_outputs
from inference.part_of_many import CasesToPredict, PartOfMany, what_lasts
from inference.planned_files import planned_files
from inference.predict_image import (
    LoadedModels,
    PredictedImage,
    PreparedImage,
    image_bytes,
    predict_image,
    prepare_image,
)
from inference.predicted_part import limits
from inference.shared_job import shared_job
from inference.shared_output import LeftToOthers, SharedOutput, sharing
from inference.writers import OutputFormat, preview_colours, writer_for

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
    of_many: PartOfMany | None = None,
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
        of_many: what this part knows of the others; None = it is predicted by itself.
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
    plan, fingerprint = read_plan(run.plan), read_fingerprint(run.fingerprint)
    # pictures get the size of their pixels by the rule of the training cases
    cases = [replace(case, pixel_spacing=fingerprint.pixel_spacing) for case in cases]
    asked_format = output_format or OutputFormat()
    writer = writer_for(asked_format, cases, output, plan, output_ending)
    # what must not be replaced is refused before anything is loaded
    files = planned_files(
        cases,
        output,
        writer,
        save_members=save_members,
        preview=preview,
        probabilities=plan.labels if save_probabilities else None,
    )
    lesions, before = _lesion_table(output, plan), read_lines(output)
    refuse_other_images(output, before, {case.name: image_of(case) for case in cases})
    measured_before = {line.case for line in before}
    names = (configuration,) if isinstance(configuration, str) else tuple(configuration)
    where = resolve_device(device)
    groups = tuple(load_group(run, plan, name, folds, device=where, mirror=mirror, console=console) for name in names)
    if save_members:
        files = files.with_members([members_of(case, groups, plan) for case in cases], writer.beside_ending)
    every = files
    if part[1] > 1:
        # before what is done is left out, which other parts see at other times
        files = files.part(*part)
        console.print(f"Part {part[0] + 1} of {part[1]}: {len(files.cases)} of {len(cases)} cases.")
    left = files.left(measured_before)[0] if skip_existing else files.cases
    if skip_existing:
        console.print(
            f"{len(files.cases) - len(left)} of {len(files.cases)} are predicted already and left as they are."
        )
    if (why := why_not(groups, agreement)) is not None:
        console.print(why)
    by_class = rules_by_class(rules, plan.labels)
    models = LoadedModels(
        plan.changed(region=None) if whole_image else plan,
        fingerprint,
        groups,
        by_class,
        kept_members(groups, by_class, plan, agreement, needed=save_members),
    )
    outputs = Outputs(
        writer,
        CaseTable(output, MEASUREMENTS, before=measured_before),
        lesions,
        {of_class.name: of_class for of_class in fitting_scores(scores, rules, names, plan, console)},
        wrote,
        save_probabilities=save_probabilities,
        save_members=save_members,
        preview=preview,
        agreement=agreement is not False,
        colours=preview_colours(asked_format, plan),
    )
    _begin(outputs, models.plan, console)
    options = (names, rules, mirror, whole_image, save_probabilities, save_members, preview, agreement, scores)
    shared_as = shared_job(run, plan, groups, asked_format, options)
    lasting = what_lasts(of_many, skip_existing=skip_existing)
    problems = _predict_all(
        models,
        outputs,
        CasesToPredict(left, every, of_many),
        console,
        threads,
        sharing(output, shared_as, patience=patience, lasting=lasting),
    )
    _tell_tables(outputs, output, plan, console)
    tell_order(output, {case.name for case in (cases if of_many is None else files.cases)}, fingerprint, console)
    return tuple(problems)


def _begin(outputs: Outputs, plan: Plan, console: Console) -> None:
    """Tell what is to be known beforehand, and write what is one for all cases."""
    for note in outputs.writer.notes:
        console.print(visible(note), style="yellow", markup=False, soft_wrap=True)
    for written in outputs.writer.begin():
        outputs.wrote(written)
    if plan.region is not None:
        console.print(limits(plan.region))


def _predict_all(
    models: LoadedModels,
    outputs: Outputs,
    of: CasesToPredict,
    console: Console,
    threads: int | None,
    sharing_output: AbstractContextManager[SharedOutput],
) -> list[str]:
    """Predict the cases with their tables open; return a sentence for each that could not be predicted."""
    on_cpu = models.device.type == "cpu"
    target_of = of.targets()
    with (
        sharing_output as shared,
        # entered first, so that its last rows are written last: where they are, a case is done
        outputs.measurements,
        outputs.lesions or nullcontext(),
        progress_bar(console) as bar,
        computing_with(threads if on_cpu else None) as computing,
    ):
        following = computing if on_cpu else None
        if of.of_many is not None:
            _forget_without_rows(outputs, models.plan, shared, of.left)
        cases = of.not_done(shared, console)
        problems = _predict_each(models, outputs, cases, target_of, bar, following, shared)
        _publish(outputs, shared, now=True)
        others = [case for case, problem in zip(cases, problems, strict=True) if problem == TO_OTHERS]
        _forget_without_rows(outputs, models.plan, shared, others)
        for behind in shared.left_behind(others, until_done=of.of_many is not None and of.of_many.waits):
            problems += _predict_each(models, outputs, behind, target_of, bar, following, shared)
            _publish(outputs, shared, now=True)
        if of_others := of.to_help(shared):
            # whoever has them tells what cannot be predicted
            _predict_each(models, outputs, of_others, target_of, bar, following, shared)
            _publish(outputs, shared, now=True)
    if others:
        console.print(f"{len(others)} of {len(cases)} are left to other processes that predict into the same folder.")
    return [problem for problem in problems if problem not in (None, TO_OTHERS)]


def _forget_without_rows(outputs: Outputs, plan: Plan, shared: SharedOutput, others: Sequence[Case]) -> None:
    """Let cases that others have finished count as not done where a person has removed their rows since."""
    done = {case.name: case for case in others if shared.is_done(case)}
    if done:
        for name in outputs.measurements.lacking(done, len(plan.labels.foreground)):
            shared.forget(done[name])


def _tell_tables(outputs: Outputs, output: Path, plan: Plan, console: Console) -> None:
    """Say where the tables are, and which cases they could not take."""
    for one, kind in ((outputs.lesions, LESIONS), (outputs.measurements, MEASUREMENTS)):
        if one is not None and one.left_out:
            console.print(
                f"{output / kind.file}: rows of {listed(one.left_out)} are left out: {most_rows(kind):,} rows are read "
                "at most; predict them into another folder",
                style="yellow",
                markup=False,
                soft_wrap=True,
            )
    if plan.lesions:
        outputs.wrote(WrittenFile("", "predicted lesions", output / FILE))
        console.print(f"Predicted lesions: {output / FILE}", soft_wrap=True)
    outputs.wrote(WrittenFile("", "measurements", output / MEASUREMENTS.file))
    console.print(f"Measurements: {output / MEASUREMENTS.file}", soft_wrap=True)


def _publish(outputs: Outputs, shared: SharedOutput, *, now: bool = False) -> None:
    """Tell other processes of the finished cases once their rows are written."""
    tables = [table for table in (outputs.lesions, outputs.measurements) if table is not None]
    if now:
        for table in tables:
            table.write()
    if not any(table.waits for table in tables):
        shared.publish()


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
        # before its name becomes that of a file
        require_sound(case)
        shared.claim(case)
        outputs.writer.require(case)
        return prepare_image(models, case)

    def compute(case: Case, prepared: PreparedImage) -> PredictedImage:
        bar.update(cases_task, description=f"cases ({visible(case.name)})")
        bar.reset(windows_task, total=None)
        return predict_image(models, prepared, case.name, bar.console.print, on_window)

    def finish(case: Case, predicted: PredictedImage) -> None:
        files: list[Path] = []

        def wrote(file: WrittenFile) -> None:
            files.append(file.path)
            outputs.wrote(file)

        with shared.writing(case):
            noting = replace(outputs, wrote=wrote)
            write_outputs(noting, models, predicted, case, target_of[case.name], bar.console.print)
        shared.finish(case, files)
        _publish(outputs, shared)
        bar.advance(cases_task)

    def failed(case: Case, error: Exception) -> str:
        shared.give_up(case)
        if isinstance(error, LeftToOthers | LockTakenOver):
            bar.advance(cases_task)
            return TO_OTHERS
        # the bar counts predicted cases
        return _told(case, error, bar.console)

    together = may_overlap(models.device, partial(image_bytes, models))
    problems = overlapped(cases, prepare, compute, finish, together=together, failed=failed)
    lacking = sum(problem not in (None, TO_OTHERS) for problem in problems)
    bar.update(cases_task, description=f"cases ({lacking} not predicted)" if lacking else "cases")
    bar.remove_task(windows_task)
    return problems


def _lesion_table(output: Path, plan: Plan) -> CaseTable | None:
    """`predicted_lesions.csv`; without lesions only one that is there, so that no row outlives its label map."""
    if plan.lesions:
        return CaseTable(output, LESIONS)
    with suppress(InputError):
        return CaseTable(output, LESIONS, lists=False) if (output / FILE).exists() else None
    return None


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
