"""The command line: one thin function for each command, which passes its options to the function of the same name."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

import autoseg
from autoseg.commands.cli_options import (
    Architecture,
    Configs,
    DatasetFolder,
    Device,
    Epochs,
    Folds,
    Images,
    MemberConfigs,
    Memory,
    Missing,
    ModelsOnly,
    NoPostProcessing,
    PhantomKind,
    PlannedConfigs,
    PlanOnly,
    Replan,
    RunBudget,
    RunFolderToMake,
    SaveProbabilities,
    Sequences,
    StudyBudget,
    StudyDimensions,
    StudySequences,
    Threads,
    Workers,
)
from autoseg.commands.exit_status import run_command
from autoseg.plan.defaults import DEFAULT_CONFIGURATIONS, DEFAULT_DIMENSIONS, DEMO_BUDGET
from autoseg.terminal import open_console

app = App(
    name="autoseg",
    version=autoseg.__version__,
    help="Self-configuring segmentation of 3D medical images: annotated cases in, an evaluated ensemble out.",
    help_format="plaintext",
    # main() turns errors into messages and exit statuses
    suppress_keyboard_interrupt=False,
)


app.register_install_completion_command(help="Let the shell complete commands and options.")


def _with_example(example: str) -> str:
    return f"Example:  {example}"


@app.command(help_epilogue=_with_example("autoseg plan-and-preprocess hippocampus -o RUN --time-budget 40m"))
def plan_and_preprocess(
    dataset: DatasetFolder,
    /,
    *,
    output: RunFolderToMake,
    config: Configs = None,
    time_budget: RunBudget = None,
    memory: Memory = None,
    device: Device = "auto",
    architecture: Architecture = None,
    plan_only: PlanOnly = False,
    replan: Replan = False,
    workers: Workers = None,
    threads: Threads = None,
) -> None:
    """Check a data set, measure its fingerprint, plan, split and preprocess it.

    Again on the same RUN, edits of plan.yaml are kept, and only what they touch is done again.
    """
    autoseg.plan_and_preprocess(
        dataset,
        output,
        config=config or DEFAULT_CONFIGURATIONS,
        time_budget=time_budget,
        memory=memory,
        device=device,
        architecture=architecture,
        plan_only=plan_only,
        replan=replan,
        workers=workers,
        threads=threads,
    )


@app.command(help_epilogue=_with_example("autoseg train RUN --fold 0"))
def train(
    run: Annotated[Path, Parameter(help="A RUN folder with preprocessed cases.")],
    /,
    *,
    fold: Annotated[int | Literal["all"], Parameter(help="Number of the fold, from 0, or all.")] = "all",
    config: PlannedConfigs = None,
    device: Device = "auto",
    epochs: Epochs = None,
    time_budget: Annotated[
        str | None, Parameter(name="--time-budget", help="Time for each fold alone, as 10m [default: as planned].")
    ] = None,
    workers: Annotated[
        int | None, Parameter(help="Processes that draw and augment patches [default: by the cores].")
    ] = None,
    threads: Threads = None,
    follow: Annotated[
        Path | None,
        Parameter(help="A finished.json of this fold: its training is repeated, event by event, to the same weights."),
    ] = None,
) -> None:
    """Train one fold, or all in turn; stopped or killed, the same command goes on."""
    autoseg.train(
        run,
        fold=fold,
        config=config or DEFAULT_CONFIGURATIONS,
        device=device,
        epochs=epochs,
        time_budget=time_budget,
        workers=workers,
        threads=threads,
        follow=follow,
    )


@app.command(help_epilogue=_with_example("autoseg predict RUN -i imagesTs -o predictions"))
def predict(
    run: Annotated[Path, Parameter(help="A RUN folder, or a copy of its models.")],
    /,
    *,
    images: Images,
    output: Annotated[Path, Parameter(name=["--output", "-o"], help="Folder for the predictions.")],
    config: MemberConfigs = None,
    fold: Folds = None,
    sequences: Sequences = None,
    device: Device = "auto",
    mirror: Annotated[bool | None, Parameter(help="Average over mirrored images too [default: as planned].")] = None,
    save_probabilities: SaveProbabilities = False,
    no_post_processing: NoPostProcessing = False,
    threads: Threads = None,
) -> None:
    """Predict images with all finished folds together, as `autoseg select` chose.

    Each prediction has its input's name, format and geometry. Exit status 1 if an input failed.
    """
    autoseg.predict(
        run,
        images,
        output,
        config=config,
        fold=fold,
        sequences=sequences,
        device=device,
        mirror=mirror,
        save_probabilities=save_probabilities,
        post_processing=not no_post_processing,
        threads=threads,
    )


@app.command(help_epilogue=_with_example("autoseg select RUN"))
def select(
    run: Annotated[Path, Parameter(help="A RUN folder with trained configurations.")],
    /,
    *,
    config: Annotated[
        list[str] | None,
        Parameter(name="--config", consume_multiple=True, negative=(), help="Choose from these [default: all]."),
    ] = None,
    operating_point: Annotated[
        str,
        Parameter(help="What threshold and minimal size are for: dice, or of lesions f2 or sensitivity=0.9."),
    ] = "dice",
    workers: Workers = None,
    threads: Threads = None,
) -> None:
    """Choose the configuration or pair that is best in cross-validation, and its post-processing.

    Post-processing is chosen only where it helps cases that it was not fitted to. `predict` applies the choice.
    """
    autoseg.select(run, config=config, operating_point=operating_point, workers=workers, threads=threads)


@app.command(help_epilogue=_with_example("autoseg evaluate --reference labelsTs --prediction predictions -o report"))
def evaluate(
    *,
    reference: Annotated[Path, Parameter(help="Folder of reference label maps.")],
    prediction: Annotated[Path, Parameter(help="Folder of predictions of the same names.")],
    output: Annotated[
        Path, Parameter(name=["--output", "-o"], help="Folder for metrics.csv, summary.json and report.html.")
    ],
    run: Annotated[
        Path | None,
        Parameter(help="RUN folder that knows the names of the classes [default: dataset.json beside the references]."),
    ] = None,
    images: Annotated[Path | None, Parameter(help="Folder of the images, to show under the outlines.")] = None,
    workers: Workers = None,
    threads: Threads = None,
) -> None:
    """Compare predicted label maps with references, by case, class and lesion."""
    autoseg.evaluate(reference, prediction, output, run=run, images=images, workers=workers, threads=threads)


@app.command(help_epilogue=_with_example("autoseg run hippocampus -o RUN --time-budget 40m"))
def run(
    dataset: DatasetFolder,
    /,
    *,
    output: RunFolderToMake,
    config: Configs = None,
    time_budget: RunBudget = None,
    memory: Memory = None,
    device: Device = "auto",
    architecture: Architecture = None,
    replan: Replan = False,
    workers: Workers = None,
    threads: Threads = None,
    epochs: Epochs = None,
) -> None:
    """Everything: check, plan, preprocess, train all folds, cross-validate, report.

    Stopped or killed, the same command goes on. Uses the training cases only.
    """
    autoseg.run(
        dataset,
        output,
        config=config or DEFAULT_CONFIGURATIONS,
        time_budget=time_budget,
        memory=memory,
        device=device,
        architecture=architecture,
        replan=replan,
        workers=workers,
        threads=threads,
        epochs=epochs,
    )


@app.command(help_epilogue=_with_example("autoseg study spine -o STUDY --sequences T1 T2 all --dimensions 2d 3d"))
def study(
    dataset: DatasetFolder,
    /,
    *,
    output: Annotated[
        Path,
        Parameter(name=["--output", "-o"], help="The STUDY folder, a RUN folder; an existing one is gone on with."),
    ],
    sequences: StudySequences = None,
    dimensions: StudyDimensions = None,
    time_budget: StudyBudget = None,
    folds: Annotated[int | None, Parameter(help="How many [default: 5, or those in splits.json].")] = None,
    memory: Memory = None,
    device: Device = "auto",
    architecture: Architecture = None,
    replan: Replan = False,
    workers: Workers = None,
    threads: Threads = None,
    epochs: Epochs = None,
) -> None:
    """Compare sequences and input dimensions: one network for each, over the same cases and folds.

    Stopped or killed, the same command goes on, fold by fold. Writes STUDY/study/study.html, results.csv and
    the tables. Exit status 1 if a part failed.
    """
    autoseg.study(
        dataset,
        output,
        sequences=sequences,
        dimensions=dimensions or DEFAULT_DIMENSIONS,
        time_budget=time_budget,
        folds=folds,
        memory=memory,
        device=device,
        architecture=architecture,
        replan=replan,
        workers=workers,
        threads=threads,
        epochs=epochs,
    )


@app.command(help_epilogue=_with_example("autoseg phantom -o spine --cases 40"))
def phantom(
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"], help="Folder to make.")],
    cases: Annotated[int, Parameter(help="How many.")] = 40,
    seed: Annotated[int, Parameter(help="The same seed gives the same data.")] = 0,
    kind: PhantomKind = "spine",
    missing: Missing = None,
    workers: Workers = None,
    threads: Threads = None,
) -> None:
    """Draw a synthetic spine data set with metastases: T1, T2 and STIR, labels, cases.csv."""
    autoseg.phantom(output, cases=cases, seed=seed, kind=kind, missing=missing, workers=workers, threads=threads)
    open_console().print(f"{cases} synthetic cases: {output / 'cases.csv'}", highlight=False, soft_wrap=True)


@app.command(help_epilogue=_with_example("autoseg demo"))
def demo(
    *,
    output: Annotated[
        Path, Parameter(name=["--output", "-o"], help="Folder to make: the data set and the run.")
    ] = Path("demo"),
    cases: Annotated[int, Parameter(help="How many cases to draw.")] = 40,
    time_budget: Annotated[str, Parameter(name="--time-budget", help="Time for the run.")] = DEMO_BUDGET,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Draw synthetic cases and take them through the whole path, on any machine."""
    autoseg.demo(output, cases=cases, time_budget=time_budget, device=device, threads=threads)


@app.command(help_epilogue=_with_example("autoseg copy RUN -o MODELS --models-only"))
def copy(
    run: Annotated[Path, Parameter(help="The RUN folder.")],
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"], help="The copy; must not exist yet.")],
    models_only: ModelsOnly = False,
) -> None:
    """Copy a RUN folder; with --models-only without patients' images."""
    autoseg.copy(run, output, models_only=models_only)
    what = "Models, without cases" if models_only else "Copied"
    open_console().print(f"{what}: {output}", highlight=False, soft_wrap=True, markup=False)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its status.

    Args:
        arguments: command-line arguments without the program's name; None = those of this process.
    """
    sys.exit(status_of(arguments))


def status_of(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    return run_command(app, arguments)


if __name__ == "__main__":
    main()
