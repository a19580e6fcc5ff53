"""`work/request.json`: what a person asked of `autoseg run` or `autoseg study`.

So every unit of work does it on any machine.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationError

from autoseg.errors import InputError, RunFolderError, wrong_fields
from autoseg.files import FileModel, read_model, write_text
from autoseg.names import PlainName
from autoseg.plan.bounds import MOST_DEVICES
from autoseg.plan.configuration import Architecture
from autoseg.run_folder.paths import RunFolder
from autoseg.work.study_scope import AskedGrid

CASES_A_PART, MOST_UNMEASURED_PARTS = 10, 16
"""Where nothing is measured: cases of a part at least, so that its start is a small share, and most parts."""

MOST_PARTS = 1_000
"""Preprocessing and predictions are divided into at most so many parts."""


class Request(FileModel):
    """Options of `autoseg run` or `autoseg study`; None where the person left the choice to autoseg.

    Args:
        dataset: whole path of the raw data set; None = it was a table in memory, which no other process has.
        configurations: names of the configurations; empty = the default, which follows from the plan. Of a study the
            cells, as far as they are known before the plan.
        grid: grid of the study; None = the run is no study.
        folds: number of folds of each; None = as `splits.json` has them.
        parts: number of parts in which the cases of each configuration are prepared.
        at_once: number of folds that are trained at the same time, over all machines; the time budget is wall time.
        ct: names of the channels that are CT.
        spacing: size of the pixels of pictures in mm.
        align: sequence onto which the others are moved.
        time_budget: time for the whole run in seconds.
        memory: memory in GB that the plan is made for, or `auto`.
        device: where to compute.
        devices: devices that train side by side on this machine.
        architecture: kind of U-Net.
        workers: number of cases that are worked on at once.
        threads: number of threads that compute on a CPU.
        epochs: number of epochs of each fold.
        selects: whether what predicts is chosen at the end.
        trust_times: whether files whose size and time are as they were are not read again.
        follow_links: whether links in the RUN folder may lead out of it.
    """

    schema_version: Literal[1] = 1
    dataset: str | None
    configurations: tuple[PlainName, ...] = ()
    grid: AskedGrid | None = None
    folds: int | None = Field(default=None, ge=2, le=1_000)
    parts: int = Field(default=1, ge=1, le=MOST_PARTS)
    at_once: int = Field(default=1, ge=1, le=MOST_DEVICES)
    ct: tuple[str, ...] | None = None
    spacing: tuple[float, ...] | None = None
    align: str | None = None
    time_budget: float | None = Field(default=None, gt=0)
    memory: float | Literal["auto"] | None = None
    device: str = "auto"
    devices: tuple[str, ...] | None = None
    architecture: Architecture | None = None
    workers: int | None = Field(default=None, ge=1)
    threads: int | None = Field(default=None, ge=1)
    epochs: int | None = Field(default=None, ge=1)
    selects: bool = True
    trust_times: bool = False
    follow_links: bool = False


def unmeasured_parts(cases: int) -> int:
    """Number of parts into which so many cases are divided as long as nothing is measured."""
    return max(1, min(MOST_UNMEASURED_PARTS, cases // CASES_A_PART))


def request_of(**options: object) -> Request:
    """Return the request of these options.

    Args:
        options: fields of `Request`.

    Raises:
        InputError: an option is malformed.
    """
    try:
        return Request.model_validate(options)
    except ValidationError as error:
        raise InputError(wrong_fields(error)) from None


def write_request(run: RunFolder, request: Request) -> None:
    """Write `work/request.json`, atomically; one that is equal is left as it is."""
    try:
        if read_request(run) == request:
            return
    except RunFolderError:
        # of another release, or damaged; the person asks anew
        pass
    write_text(run.request, request.model_dump_json(indent=1))


def read_request(run: RunFolder) -> Request | None:
    """Read `work/request.json`; None where nobody asked, as in RUN folders of earlier releases.

    Raises:
        RunFolderError: the file is malformed; the message names the file and the field.
    """
    return read_model(
        run.request, Request, "give the same `autoseg run` or `autoseg study` again, which writes it anew"
    )
