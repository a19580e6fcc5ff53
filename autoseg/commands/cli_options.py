"""Command-line options that several commands share, each with its help text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter


def _switch(help: str) -> Parameter:
    """A flag that is off unless given; it has no `--no-` form."""
    return Parameter(negative=(), help=help)


DatasetFolder = Annotated[
    Path, Parameter(help="Folder in nnU-Net's or the Decathlon's layout, or a cases.csv (or its folder).")
]
RunFolderToMake = Annotated[
    Path, Parameter(name=["--output", "-o"], help="The RUN folder; an existing one is gone on with.")
]
Configs = Annotated[
    list[Literal["2d", "2.5d", "3d", "3d_lowres"]] | None,
    Parameter(name="--config", consume_multiple=True, negative=(), help="Configurations, as 2d 3d [default: 3d]."),
]
PlannedConfigs = Annotated[
    list[str] | None,
    Parameter(
        name="--config",
        consume_multiple=True,
        negative=(),
        help="Names of configurations in plan.yaml [default: 3d].",
    ),
]
Sequences = Annotated[
    list[str] | None,
    Parameter(
        name="--sequences",
        consume_multiple=True,
        negative=(),
        help="Predict from these sequences alone, such as T1; the others are treated as absent.",
    ),
]
MemberConfigs = Annotated[
    list[str] | None,
    Parameter(
        name="--config",
        consume_multiple=True,
        negative=(),
        help="Configurations, averaged, without post-processing [default: what was selected, else 3d].",
    ),
]
RunBudget = Annotated[
    str | None,
    Parameter(
        name="--time-budget", help="Time for a whole run, as 90s, 40m or 1h30m [default: 40m on a CPU, none on a GPU]."
    ),
]
Memory = Annotated[float | None, Parameter(help="Memory in GB that training may take [default: 8].")]
Device = Annotated[Literal["auto", "cpu", "cuda", "mps"], Parameter(help="Where to compute.")]
Architecture = Annotated[
    Literal["plain", "resenc_m", "resenc_l", "resenc_xl"] | None, Parameter(help="Kind of U-Net [default: plain].")
]
Replan = Annotated[bool, _switch("Discard edits of plan.yaml and plan again.")]
PlanOnly = Annotated[bool, _switch("Plan, and leave the preprocessing out.")]
ModelsOnly = Annotated[
    bool, _switch("Copy only what predicting needs: plan and weights; no image, label, prediction or case name.")
]
PhantomKind = Annotated[
    Literal["spine", "small"],
    Parameter(help="small: 6 mm slices of 0.7 mm voxels, small metastases alone, 0.1 % of the voxels."),
]
Missing = Annotated[
    float | None,
    Parameter(help="Share of the cases that lack each sequence, 0 to 0.5 [default: every fourth case lacks one]."),
]
SaveProbabilities = Annotated[bool, _switch("Also write the probability of every class.")]
NoPostProcessing = Annotated[bool, _switch("Leave out the post-processing that was selected.")]
Workers = Annotated[
    int | None, Parameter(help="Cases worked on at once [default: as many as cores and free memory allow].")
]
Threads = Annotated[
    int | None,
    Parameter(help="Threads that compute on a CPU [default: as many as other programs leave cores for]."),
]
Epochs = Annotated[
    int | None,
    Parameter(help="Length of each fold's schedule in epochs, which no clock changes [default: by the time]."),
]
Images = Annotated[
    list[Path],
    Parameter(
        name=["--images", "-i"],
        consume_multiple=True,
        negative=(),
        help="A folder, a file, several files, or a cases.csv.",
    ),
]
Folds = Annotated[
    list[int] | None,
    Parameter(
        name="--fold",
        consume_multiple=True,
        negative=(),
        help="Predict with these folds only, as 0 1 [default: all finished].",
    ),
]
StudySequences = Annotated[
    list[str] | None,
    Parameter(
        consume_multiple=True,
        negative=(),
        help="Sets of sequences to compare, as T1 T1+T2 all [default: each sequence alone, and all].",
    ),
]
StudyDimensions = Annotated[
    list[Literal["2d", "2.5d", "3d", "3d_lowres"]] | None,
    Parameter(
        consume_multiple=True,
        negative=(),
        help="Input dimensions to compare: slices, slices with their neighbours, volumes [default: 2d 2.5d 3d].",
    ),
]
StudyBudget = Annotated[
    str | None,
    Parameter(
        name="--time-budget",
        help="Time for the whole study, as 40m or 2h, in equal parts for every fold of every cell "
        "[default: 40m on a CPU, none on a GPU].",
    ),
]
