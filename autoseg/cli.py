"""The commands: one thin function each, which parses, calls the function of the same name, and prints.

Whatever a user can cause ends in one clear message on standard error and an exit status, without a
traceback: 2 for what has to be mended, 1 where some inputs failed, 130 and 143 for Ctrl-C and SIGTERM.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Parameter
from rich.console import Console

import autoseg
from autoseg.errors import AutosegError, DatasetError, InputError

Config = Literal["2d", "3d", "3d_lowres"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Network = Literal["plain", "resenc_m", "resenc_l", "resenc_xl"]
Output = Annotated[Path, Parameter(name=["--output", "-o"])]
Configs = Annotated[list[Config] | None, Parameter(name="--config", negative=())]
Budget = Annotated[str | None, Parameter(name="--time-budget")]
Switch = Parameter(negative=())

app = App(
    name="autoseg",
    version=autoseg.__version__,
    help="Self-configuring segmentation of 3D medical images: annotated cases in, an evaluated ensemble out.",
    help_format="plaintext",
    # main() turns errors into messages and exit statuses
    suppress_keyboard_interrupt=False,
)


def _with_example(example: str) -> str:
    return f"Example:  {example}"


@app.command(help_epilogue=_with_example("autoseg plan-and-preprocess hippocampus -o RUN --time-budget 40m"))
def plan_and_preprocess(
    dataset: Path,
    /,
    *,
    output: Output,
    config: Configs = None,
    time_budget: Budget = None,
    memory: float | None = None,
    device: Device = "auto",
    architecture: Network | None = None,
    plan_only: Annotated[bool, Switch] = False,
    replan: Annotated[bool, Switch] = False,
    workers: int | None = None,
) -> None:
    """Check a data set, measure its fingerprint, plan, split and preprocess it.

    Again on the same RUN, edits of plan.yaml are kept, and only what they touch is done again.

    Parameters
    ----------
    dataset
        Folder in nnU-Net's or the Decathlon's layout, or a cases.csv.
    output
        The RUN folder.
    config
        Configuration to preprocess; give the option several times for several [default: 3d].
    time_budget
        Time for a whole run, as 90s, 40m or 1h30m [default: 40m on a CPU, none on a GPU].
    memory
        Memory in GB that training may take [default: 8].
    device
        Device that the plan is made for.
    architecture
        Kind of U-Net [default: plain].
    plan_only
        Plan, and leave the preprocessing out.
    replan
        Discard edits of plan.yaml and plan again.
    workers
        Processes over cases [default: as many as cores and memory allow].
    """
    autoseg.plan_and_preprocess(
        dataset,
        output,
        config=config or ["3d"],
        time_budget=time_budget,
        memory=memory,
        device=device,
        architecture=architecture,
        plan_only=plan_only,
        replan=replan,
        workers=workers,
    )


@app.command(help_epilogue=_with_example("autoseg train RUN --fold 0"))
def train(
    run: Path,
    /,
    *,
    fold: int | Literal["all"] = "all",
    config: Configs = None,
    device: Device = "auto",
    epochs: int | None = None,
    time_budget: Budget = None,
    workers: int | None = None,
) -> None:
    """Train one fold, or all in turn; stopped or killed, the same command goes on.

    Parameters
    ----------
    run
        A RUN folder with preprocessed cases.
    fold
        Number of the fold, from 0, or all.
    config
        Configuration to train; give the option several times for several [default: 3d].
    device
        Where to train.
    epochs
        Length of the schedule in epochs [default: as planned].
    time_budget
        Time for each fold alone, as 10m [default: as planned].
    workers
        Processes that draw and augment patches [default: by the cores].
    """
    autoseg.train(
        run,
        fold=fold,
        config=config or ["3d"],
        device=device,
        epochs=epochs,
        time_budget=time_budget,
        workers=workers,
    )


@app.command(help_epilogue=_with_example("autoseg predict RUN -i imagesTs -o predictions"))
def predict(
    run: Path,
    /,
    *,
    images: Annotated[list[Path], Parameter(name=["--images", "-i"], consume_multiple=True, negative=())],
    output: Output,
    config: Configs = None,
    fold: Annotated[list[int] | None, Parameter(negative=())] = None,
    device: Device = "auto",
    mirror: bool | None = None,
    save_probabilities: Annotated[bool, Switch] = False,
) -> None:
    """Predict images with all finished folds together.

    Each prediction has its input's name, format and geometry. Exit status 1 if an input failed.

    Parameters
    ----------
    run
        A RUN folder, or a copy of its models.
    images
        A folder, a file, several files, or a cases.csv.
    output
        Folder for the predictions.
    config
        Configuration to predict with; several get a subfolder each [default: 3d].
    fold
        Predict with this fold only; give the option several times for several [default: all finished].
    device
        Where to predict.
    mirror
        Average over mirrored images too [default: as planned].
    save_probabilities
        Also write the probability of every class.
    """
    autoseg.predict(
        run,
        images,
        output,
        config=config or ["3d"],
        fold=fold,
        device=device,
        mirror=mirror,
        save_probabilities=save_probabilities,
    )


@app.command(help_epilogue=_with_example("autoseg evaluate --reference labelsTs --prediction predictions -o report"))
def evaluate(
    *,
    reference: Path,
    prediction: Path,
    output: Output,
    run: Path | None = None,
    images: Path | None = None,
    workers: int | None = None,
) -> None:
    """Compare predicted label maps with references, by case, class and lesion.

    Parameters
    ----------
    reference
        Folder of reference label maps.
    prediction
        Folder of predictions of the same names.
    output
        Folder for metrics.csv, summary.json and report.html.
    run
        RUN folder that knows the names of the classes [default: dataset.json beside the references].
    images
        Folder of the images, to show under the outlines.
    workers
        Processes over cases [default: as many as cores and memory allow].
    """
    autoseg.evaluate(reference, prediction, output, run=run, images=images, workers=workers)


@app.command(help_epilogue=_with_example("autoseg run hippocampus -o RUN --time-budget 40m"))
def run(
    dataset: Path,
    /,
    *,
    output: Output,
    config: Configs = None,
    time_budget: Budget = None,
    memory: float | None = None,
    device: Device = "auto",
    architecture: Network | None = None,
    replan: Annotated[bool, Switch] = False,
    workers: int | None = None,
) -> None:
    """Everything: check, plan, preprocess, train all folds, cross-validate, report.

    Stopped or killed, the same command goes on. Uses the training cases only.

    Parameters
    ----------
    dataset
        Folder in nnU-Net's or the Decathlon's layout, or a cases.csv.
    output
        The RUN folder.
    config
        Configuration to train; give the option several times for several [default: 3d].
    time_budget
        Time for all of it, as 90s, 40m or 1h30m [default: 40m on a CPU, none on a GPU].
    memory
        Memory in GB that training may take [default: 8].
    device
        Where to train.
    architecture
        Kind of U-Net [default: plain].
    replan
        Discard edits of plan.yaml and plan again.
    workers
        Processes over cases [default: as many as cores and memory allow].
    """
    autoseg.run(
        dataset,
        output,
        config=config or ["3d"],
        time_budget=time_budget,
        memory=memory,
        device=device,
        architecture=architecture,
        replan=replan,
        workers=workers,
    )


@app.command(help_epilogue=_with_example("autoseg phantom -o spine --cases 40"))
def phantom(*, output: Output, cases: int = 40, seed: int = 0, workers: int | None = None) -> None:
    """Draw a synthetic spine data set with metastases: T1, T2 and STIR, labels, cases.csv.

    Parameters
    ----------
    output
        Folder to make.
    cases
        How many.
    seed
        The same seed gives the same data.
    workers
        Processes [default: as many as cores and memory allow].
    """
    autoseg.phantom(output, cases=cases, seed=seed, workers=workers)
    Console().print(f"{cases} synthetic cases: {output / 'cases.csv'}", highlight=False, soft_wrap=True)


@app.command(help_epilogue=_with_example("autoseg demo"))
def demo(
    *,
    output: Output = Path("demo"),
    cases: int = 40,
    time_budget: Annotated[str, Parameter(name="--time-budget")] = "8m",
    device: Device = "auto",
) -> None:
    """Draw synthetic cases and take them through the whole path, on any machine.

    Parameters
    ----------
    output
        Folder to make: the data set and the run.
    cases
        How many cases to draw.
    time_budget
        Time for the run.
    device
        Where to train.
    """
    autoseg.demo(output, cases=cases, time_budget=time_budget, device=device)


@app.command(help_epilogue=_with_example("autoseg copy RUN -o MODELS --models-only"))
def copy(run: Path, /, *, output: Output, models_only: Annotated[bool, Switch] = False) -> None:
    """Copy a RUN folder; with --models-only without patients' images.

    Parameters
    ----------
    run
        The RUN folder.
    output
        The copy; must not exist yet.
    models_only
        Copy only what predicting needs: plan and weights; no image, label, prediction or case name.
    """
    autoseg.copy(run, output, models_only=models_only)


class _Terminated(KeyboardInterrupt):
    """SIGTERM: ends as Ctrl-C does, so that worker processes and time accounts are closed."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its status.

    Args:
        arguments: of the command line, without the program's name; None = those of this process.
    """
    sys.exit(status_of(arguments))


def status_of(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit status. Errors that are not the user's keep their traceback."""
    errors = Console(stderr=True)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        app(arguments, exit_on_error=False, print_error=False, result_action="return_none")
    except CycloptsError as error:
        _say(errors, f"{error}\n`autoseg --help` and `autoseg COMMAND --help` explain the options.")
        return InputError.exit_status
    except AutosegError as error:
        _say(errors, _message(error))
        return error.exit_status
    except KeyboardInterrupt as error:
        _say(errors, "Stopped. What is finished is kept; the same command goes on from there.")
        return 128 + (signal.SIGTERM if isinstance(error, _Terminated) else signal.SIGINT)
    return 0


def _message(error: AutosegError) -> str:
    """The error's text; problems of a data set as a list."""
    if not isinstance(error, DatasetError):
        return str(error)
    count = len(error.problems)
    heading = "1 problem in the data set:" if count == 1 else f"{count} problems in the data set:"
    return "\n".join([heading, *(f"  {problem}" for problem in error.problems)])


def _say(console: Console, text: str) -> None:
    console.print("Error:" if not text.startswith("Stopped") else "", end=" " if not text.startswith("Stopped") else "")
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise _Terminated


if __name__ == "__main__":
    main()
