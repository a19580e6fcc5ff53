"""The options of the commands, each stated once: its type, its form on the command line, and what it means.

A public function such as `autoseg.train` takes these types in its signature. The command line is built from that
signature (`autoseg.commands.cli`), and `autoseg.commands.command` writes the same texts into the function's docstring.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from autoseg.commands.option_bounds import (
    AT_ONCE,
    CASES,
    DURATION,
    EPOCHS,
    FOLD,
    FOLDS,
    MEMORY_GB,
    PATCH_WORKERS,
    PIXEL_MM,
    RETRIES,
    SEED,
    SHARE_MISSING,
    THREADS,
    WORKERS,
)

_DEVICES = ("auto", "cpu", "cuda", "mps")
_DIMENSIONS = ("2d", "2.5d", "3d", "3d_lowres")


def _argument(help: str) -> Parameter:
    """An argument that stands on the command line without a name."""
    return Parameter(help=help, metavar="PATH")


def _output(help: str) -> Parameter:
    return Parameter(name=["--output", "-o"], help=help, metavar="PATH")


def _path(name: str, help: str) -> Parameter:
    return Parameter(name=name, help=help, metavar="PATH")


def _switch(help: str) -> Parameter:
    """A flag that is off unless given; it has no `--no-` form."""
    return Parameter(negative=(), help=help)


def _several(name: str | Sequence[str], help: str, metavar: str, choices: Sequence[str] | None = None) -> Parameter:
    """An option that takes one value or several, as `--config 2d 3d`."""
    return Parameter(
        name=name,
        help=help,
        metavar=f"{metavar}...",
        choices=choices,
        consume_multiple=True,
        negative=(),
        show_default=_as_typed,
    )


def _as_typed(values: Sequence[str] | None) -> str | None:
    """The default values as a person would type them; nothing where the text explains the default."""
    return None if values is None else " ".join(values)


def _time(help: str) -> Parameter:
    return Parameter(name="--time-budget", help=help, metavar="TIME")


# what a command works on
DatasetFolder = Annotated[
    Path | str,
    _argument(
        "Folder in nnU-Net's or the Decathlon's layout, a cases.csv (or its folder), or a folder of images and label "
        "maps; in Python also the table as a pandas DataFrame."
    ),
]
FolderToUnderstand = Annotated[Path | str, _argument("Folder of images and label maps, at any depth.")]
PreprocessedRun = Annotated[Path | str, _argument("A RUN folder with preprocessed cases; raw data are not needed.")]
TrainedRun = Annotated[Path | str, _argument("A RUN folder with trained configurations; raw data are not needed.")]
RunOrModels = Annotated[Path | str, _argument("A RUN folder, or a copy of its models.")]
AnyRun = Annotated[Path | str, _argument("A RUN folder, or a folder of predictions.")]
UnitName = Annotated[str, Parameter(help="Name of the unit, such as train-3d-fold_0 or predict-0of8.", metavar="UNIT")]
RunToCopy = Annotated[Path | str, _argument("The RUN folder.")]
Images = Annotated[
    Sequence[Path | str] | Path,
    _several(
        ["--images", "-i"],
        "A folder, a file, several files, a cases.csv, or a choice in DICOM, such as 'scan?echo=4.92'.",
        "PATH",
    ),
]
References = Annotated[Path | str, _path("--reference", "Folder of reference label maps.")]
Predictions = Annotated[Path | str, _path("--prediction", "Folder of predictions of the same names.")]

# where results go
RunToMake = Annotated[Path | str, _output("The RUN folder; if it exists, the run goes on in it.")]
StudyToMake = Annotated[Path | str, _output("The STUDY folder, a RUN folder; if it exists, the study goes on in it.")]
PredictionFolder = Annotated[Path | str, _output("Folder for the predictions.")]
ReportFolder = Annotated[Path | str, _output("Folder for metrics.csv, summary.json and report.html.")]
PhantomFolder = Annotated[Path | str, _output("Folder to make; if it exists, it must be empty.")]
DemoFolder = Annotated[Path | str, _output("Folder to make: the data set and the run.")]
CopyFolder = Annotated[Path | str, _output("The copy; must not exist yet.")]

TableToMake = Annotated[Path | str, _output("The table to write, as cases.csv; must not exist yet.")]

# how a folder is understood
ImagePattern = Annotated[
    str | None,
    Parameter(
        name="--images",
        metavar="PATTERN",
        help="Names of the images below the folder, as 'scans/{case}_{sequence}.nii.gz'; {patient} and * are allowed "
        "too [default: found by the names].",
    ),
]
LabelPattern = Annotated[
    str | None,
    Parameter(
        name="--label", metavar="PATTERN", help="Names of the label maps below the folder, as 'masks/{case}.nii.gz'."
    ),
]
SequencePatterns = Annotated[
    Sequence[str] | None,
    _several(
        "--sequence",
        "For a folder of DICOM: a sequence and what its series are called, as T1='*t1*sag* not *gd*'.",
        "NAME=PATTERN",
    ),
]
Ct = Annotated[
    Sequence[str] | None,
    _several(
        "--ct",
        "Channels in Hounsfield units, or none [default: by their names and values].",
        "NAME",
    ),
]

PixelSize = Annotated[
    Sequence[float] | float | None,
    _several(
        "--spacing",
        "Size of the pixels of PNG, TIFF, JPEG and BMP in mm: one number, or height and width "
        "[default: as the files state, else 1].",
        "MM",
    ),
    PIXEL_MM,
]

Align = Annotated[
    str | None,
    Parameter(
        help="Move the sequences of each case onto this one, the one that labels were drawn on, by a rigid "
        "registration; first = the one that the column drawn_on names by case, or else the first that a case has, "
        "none = as they lie [default: none].",
        metavar="NAME",
    ),
]

LogFile = Annotated[str | None, _path("--log", "File of what this process prints, for `autoseg status`.")]

# what is planned
Dimensions = Annotated[
    Sequence[str] | None,
    _several(
        "--config",
        "Configurations to plan and train, as 2d 3d [default: 3d; 2d for images of one slice].",
        "CHOICE",
        _DIMENSIONS,
    ),
]
Memory = Annotated[
    float | Literal["auto"] | None,
    Parameter(
        help="Memory in GB that the plan is made for, or auto: all that is free on the GPU "
        "[default: as published, 8; resenc_l 24, resenc_xl 40]."
    ),
    MEMORY_GB,
]
Architecture = Annotated[
    Literal["plain", "resenc_m", "resenc_l", "resenc_xl"] | None, Parameter(help="Kind of U-Net [default: plain].")
]
RunBudget = Annotated[
    str | float | None,
    _time("Time for a whole run, as 90s, 40m or 1h30m; in Python also seconds [default: 40m on a CPU, none on a GPU]."),
    DURATION,
]
StudyBudget = Annotated[
    str | float | None,
    _time(
        "Time for the whole study, as 40m or 2h, in equal parts for every fold of every cell "
        "[default: 40m on a CPU, none on a GPU]."
    ),
    DURATION,
]
DemoBudget = Annotated[str | float, _time("Time for the run, as 8m."), DURATION]
Replan = Annotated[bool, _switch("Discard edits of plan.yaml and plan again.")]
PlanOnly = Annotated[bool, _switch("Plan, and leave the preprocessing out.")]
StudySequences = Annotated[
    Sequence[str] | None,
    _several(
        "--sequences", "Sets of sequences to compare, as T1 T1+T2 all [default: each sequence alone, and all].", "SET"
    ),
]
StudyDimensions = Annotated[
    Sequence[str] | None,
    _several(
        "--dimensions",
        "Input dimensions to compare: slices, slices with their neighbours, volumes [default: 2d 2.5d 3d; 2d for "
        "images of one slice].",
        "CHOICE",
        _DIMENSIONS,
    ),
]
FoldCount = Annotated[int | None, Parameter(help="Number of folds [default: 5, or those in splits.json]."), FOLDS]

NoSelect = Annotated[
    bool, _switch("Do not choose threshold, smallest size and configuration at the end, as `autoseg select` does.")
]

TrustTimes = Annotated[
    bool, _switch("Do not read files again whose size and time are as they were; for data on slow storage.")
]

# who places the work
Engine = Annotated[
    str,
    Parameter(
        help="Who places the units of work: local = this command, slurm, ray, or ray=ADDRESS for a cluster that is "
        "there.",
        metavar="NAME",
    ),
]
Retries = Annotated[
    int | None, Parameter(help="How often slurm or ray try a unit again that failed [default: 2]."), RETRIES
]
AtOnce = Annotated[
    int | None,
    Parameter(
        help="How many folds slurm or ray train at the same time, by which a time budget is shared out "
        "[default: all, 64 at most]. It limits nothing."
    ),
    AT_ONCE,
]
SlurmOptions = Annotated[
    Sequence[str] | None,
    _several("--slurm-option", "Options that sbatch is given too, as partition=gpu time=12:00:00.", "KEY=VALUE"),
]
DryRun = Annotated[bool, _switch("Print the scripts that would be sent to Slurm, and send nothing.")]
Insecure = Annotated[bool, _switch("Use a Ray cluster that lets anybody in who reaches its port.")]

# how it is trained
PlannedConfigurations = Annotated[
    Sequence[str] | None,
    _several(
        "--config",
        "Configurations in plan.yaml to train, one after the other [default: 3d; 2d for images of one slice].",
        "NAME",
    ),
]
FoldToTrain = Annotated[
    int | Literal["all"],
    Parameter(help="Number of the fold, from 0, or all; a finished fold is left as it is.", metavar="NUMBER"),
    FOLD,
]
Epochs = Annotated[
    int | None,
    Parameter(help="Length of each fold's schedule in epochs, which no clock changes [default: by the time]."),
    EPOCHS,
]
FoldBudget = Annotated[str | float | None, _time("Time for each fold alone, as 10m [default: as planned]."), DURATION]
PatchWorkers = Annotated[
    int | None, Parameter(help="Processes that draw and augment patches [default: by the cores]."), PATCH_WORKERS
]
Follow = Annotated[
    Path | str | None,
    _path("--follow", "A finished.json of this fold: its training is repeated, event by event, to the same weights."),
]

# how it is predicted
MemberConfigurations = Annotated[
    Sequence[str] | None,
    _several(
        "--config",
        "Configurations, averaged, without post-processing [default: what was selected, else 3d; 2d for "
        "images of one slice].",
        "NAME",
    ),
]
MemberFolds = Annotated[
    Sequence[int] | int | None,
    _several("--fold", "Predict with these folds only, as 0 1 [default: all finished, else all begun].", "NUMBER"),
    FOLD,
]
Sequences = Annotated[
    Sequence[str] | None,
    _several(
        "--sequences", "Predict from these sequences alone, such as T1; the others are treated as absent.", "NAME"
    ),
]
Mirror = Annotated[bool | None, Parameter(help="Average over mirrored images too [default: as planned].")]
SaveProbabilities = Annotated[bool, _switch("Also write the probability of every class.")]
PredictionFormat = Annotated[
    Literal["seg.nrrd", "dicom-seg"] | None,
    Parameter(
        name="--format",
        help="seg.nrrd opens in 3D Slicer as named segments; dicom-seg, from DICOM series alone, is a DICOM SEG with a "
        "structured report [default: a label map in the format of each image].",
    ),
]
SegmentationType = Annotated[
    Literal["binary", "labelmap", "fractional"] | None,
    Parameter(name="--seg-type", help="Kind of a DICOM SEG; fractional holds probabilities [default: binary]."),
]
Codes = Annotated[
    Path | str | None,
    _path("--codes", "CSV table of coded concepts and colours of classes, beside the one that autoseg has."),
]
WholeImage = Annotated[
    bool, _switch("Predict whole images, although the plan limits prediction to where foreground lay in training.")
]
SaveMembers = Annotated[
    bool, _switch("Also write the label map of each model that predicts, as members/3d_0/CASE, for fold 0 of 3d.")
]
Agreement = Annotated[
    bool | None,
    Parameter(help="Measure how far the folds agree [default: where it takes hardly any time and memory]."),
]
Preview = Annotated[
    bool, _switch("Also draw preview/CASE.png: three planes through the largest finding, with outlines.")
]
SkipExisting = Annotated[
    bool,
    _switch(
        "Leave cases as they are whose label map, measurements and what else is asked for are there; only presence is "
        "judged: another model or a changed image is not noticed."
    ),
]
Part = Annotated[
    str | None,
    Parameter(
        help="Predict this part of the images alone, as 2/8; without it, commands that predict into one folder share "
        "them.",
        metavar="K/N",
    ),
]
EvaluateWith = Annotated[
    Path | str | None,
    _path("--evaluate", "Folder of references, with which the predictions are compared at the end: evaluation/."),
]
ByPatient = Annotated[bool, _switch("Begin the names of predictions of DICOM with the patient's id.")]
PostProcessing = Annotated[bool, Parameter(help="Apply the post-processing that was selected.")]

# how it is chosen and compared
CandidateConfigurations = Annotated[
    Sequence[str] | None, _several("--config", "Choose from these [default: all].", "NAME")
]
OperatingPoint = Annotated[
    str | None,
    Parameter(
        help="What threshold and minimal size are for: dice, or of lesions f2, sensitivity=0.9, false=1 (at most so "
        "many false ones a case) or risk=0.1 (bound of the expected share of missed ones) [default: f2 where the plan "
        "has lesions, else dice]."
    ),
]
HeldOutAgreement = Annotated[
    bool,
    _switch(
        "Also write cross_validation/CONFIG/agreement.csv: how far mirrored or jittered predictions of the fold that "
        "did not see a case agree; predicts every case again."
    ),
]
RunOfClasses = Annotated[
    Path | str | None,
    _path("--run", "RUN folder that knows the names of the classes [default: dataset.json beside the references]."),
]
ShownImages = Annotated[Path | str | None, _path("--images", "Folder of the images, to show under the outlines.")]

# what is drawn
PhantomCases = Annotated[int, Parameter(help="Number of synthetic cases to draw."), CASES]
Seed = Annotated[int, Parameter(help="The same seed gives the same data."), SEED]
PhantomKind = Annotated[
    Literal["spine", "small"],
    Parameter(help="small: 6 mm slices of 0.7 mm voxels, small metastases alone, 0.1 % of the voxels."),
]
Missing = Annotated[
    float | None,
    Parameter(help="Share of the cases that lack each sequence, 0 to 0.5 [default: every fourth case lacks one]."),
    SHARE_MISSING,
]

# what is copied
ModelsOnly = Annotated[
    bool, _switch("Copy only what predicting needs: plan and weights; no image, label, prediction or case name.")
]

# what a RUN folder from others may contain
FollowLinks = Annotated[
    bool, _switch("Use links in the RUN folder that lead out of it; only for links that you made yourself.")
]

# how it is computed
Device = Annotated[
    str,
    Parameter(help="Where to compute; cuda:1 is the second card.", choices=_DEVICES, metavar="CHOICE"),
]
Devices = Annotated[
    Sequence[str | int] | None,
    _several("--devices", "Train folds side by side: numbers of CUDA cards, or cpu cpu [default: all cards].", "NAME"),
]
Threads = Annotated[
    int | None,
    Parameter(help="Threads that compute on a CPU [default: as many as other programs leave cores for]."),
    THREADS,
]
Workers = Annotated[
    int | None, Parameter(help="Cases worked on at once [default: as many as cores and free memory allow]."), WORKERS
]
