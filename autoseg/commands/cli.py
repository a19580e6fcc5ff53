"""The command line: each public function as a command of the same name, built from the function's own signature."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Sequence

from cyclopts import App

import autoseg
from autoseg.commands.command import option_of, types_of_options
from autoseg.commands.environment_variables import repair_thread_counts
from autoseg.commands.exit_status import run_command
from autoseg.early_stop import stop_at_once
from autoseg.terminal import open_console

SUMMARIES = {
    "cancel": "Stop what `autoseg run`, `study` or `predict` gave to an engine; what is finished is kept.",
    "copy": "Copy a RUN folder; with --models-only without patients' images.",
    "demo": "Draw synthetic cases and take them through the whole path, on any machine.",
    "evaluate": "Compare predicted label maps with references, by case, class and lesion.",
    "phantom": "Draw a synthetic spine data set with metastases: T1, T2 and STIR, labels, cases.csv.",
    "plan_and_preprocess": "Check a data set, measure its fingerprint, plan, split and preprocess it.",
    "predict": "Predict images with all finished folds together, as `autoseg select` chose.",
    "run": "Everything: check, plan, preprocess, train all folds, cross-validate, select, report.",
    "select": "Choose the configuration or pair that is best in cross-validation, and its post-processing.",
    "status": "Show every unit of work of a run: waiting, running where and how far, done, or failed why.",
    "study": "Compare sequences and input dimensions: one network for each, over the same cases and folds.",
    "table": "Write the cases.csv of a folder of images and label maps, to look at and correct.",
    "train": "Train one fold, or all in turn; stopped or killed, the same command goes on.",
    "work_unit": "Do one unit of work of a run, as `autoseg status RUN` lists them; one that is done is left as it is.",
}
"""The first line of each public function, so that `autoseg --help` imports none of them."""

EXAMPLES = {
    "cancel": "autoseg cancel RUN",
    "copy": "autoseg copy RUN -o MODELS --models-only",
    "demo": "autoseg demo",
    "evaluate": "autoseg evaluate --reference labelsTs --prediction predictions -o report",
    "phantom": "autoseg phantom -o spine --cases 40",
    "plan_and_preprocess": "autoseg plan-and-preprocess hippocampus -o RUN --time-budget 40m",
    "predict": "autoseg predict RUN -i imagesTs -o predictions",
    "run": "autoseg run hippocampus -o RUN --time-budget 40m",
    "select": "autoseg select RUN",
    "status": "autoseg status RUN",
    "study": "autoseg study spine -o STUDY --sequences T1 T2 all --dimensions 2d 3d",
    "table": "autoseg table scans -o cases.csv --images '{case}_{sequence}.nii.gz' --label '{case}_mask.nii.gz'",
    "train": "autoseg train RUN --fold 0",
    "work_unit": "autoseg work RUN train-3d-fold_0",
}
"""For each public function one line that its help shows."""

OTHER_NAMES = {"work_unit": "work"}
"""Commands whose names differ from those of their functions: `autoseg.work` is a package."""

INSTALL_COMPLETION = "--install-completion"


def make_app(asked: Sequence[str] | None = None) -> App:
    """Return the command-line application.

    Args:
        asked: arguments of the command line. A command that they do not name is registered with its summary alone, so
            that its module is not imported. None = all commands are registered with their options.
    """
    app = App(
        name="autoseg",
        version=autoseg.__version__,
        help="Self-configuring segmentation of 3D medical images: annotated cases in, an evaluated ensemble out.",
        help_format="plaintext",
        # main() turns errors into messages and exit statuses
        suppress_keyboard_interrupt=False,
    )
    app.register_install_completion_command(help="Let the shell complete commands and options.")
    for name in autoseg.COMMANDS:
        command = name_of_command(name)
        if asked is None or command in asked or INSTALL_COMPLETION in asked:
            app.command(shell_form(getattr(autoseg, name)), name=command, help_epilogue=f"Example:  {EXAMPLES[name]}")
        else:
            app.command(App(name=command, help=SUMMARIES[name]))
    return app


def name_of_command(function: str) -> str:
    """Return the name of a command, of the name of its public function."""
    return OTHER_NAMES.get(function, function.replace("_", "-"))


def shell_form(function: Callable[..., object]) -> Callable[..., object]:
    """Return a function as the command line calls it.

    An argument whose option declares no name stands by its position, such as DATASET; every other one is given by its
    name, so that two folders cannot be confused.

    Args:
        function: public function of autoseg whose parameters have the types of `autoseg.commands.options`.
    """
    written, types = inspect.signature(function), types_of_options(function)
    parameters = [parameter.replace(annotation=types[name]) for name, parameter in written.parameters.items()]
    positional = [
        parameter.replace(kind=inspect.Parameter.POSITIONAL_ONLY)
        for parameter in parameters
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY and not option_of(parameter.annotation).name
    ]
    names = {parameter.name for parameter in positional}
    others = (parameter for parameter in parameters if parameter.name not in names)
    by_name = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in others]

    def form(*arguments: object, **options: object) -> object:
        return function(*arguments, **options)

    # in a terminal a paragraph is as wide as the terminal
    form.__doc__ = re.sub(r"(?<!\n)\n(?! |\n)", " ", (function.__doc__ or "").partition("\n\nArgs:")[0])
    form.__name__, form.__annotations__ = function.__name__, types
    form.__signature__ = inspect.Signature([*positional, *by_name])  # type: ignore[attr-defined]
    return form


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its status.

    Args:
        arguments: command-line arguments without the program's name; None = those of this process.
    """
    sys.exit(status_of(arguments))


def status_of(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    stop_at_once()
    for sentence in repair_thread_counts():
        open_console(stderr=True).print(f"Warning: {sentence}")
    given = sys.argv[1:] if arguments is None else arguments
    return run_command(make_app(given), given)


if __name__ == "__main__":
    main()
