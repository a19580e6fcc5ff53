"""`work/predictions.json`: what a person asked of `autoseg predict`, so that every part is predicted on any machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import ConfigDict, Field

from autoseg.dataset.case import Case
from autoseg.disk.text_files import why_too_large
from autoseg.errors import InputError, RunFolderError
from autoseg.files import FileModel, read_model, write_text
from autoseg.image.path_choice import split_choice
from autoseg.names import is_text
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.predictions_folder import PredictionsFolder
from autoseg.version import VERSION
from autoseg.work.request import MOST_PARTS
from autoseg.work.unit import Needs


@dataclass(frozen=True)
class PredictionOptions:
    """Options of `autoseg predict` that decide what is predicted and what is written; None = the default.

    Args:
        run: RUN folder, or copy of its models.
        images: folders, files and tables of the images.
        config: configurations that predict together.
        fold: folds that predict.
        sequences: sequences that are used.
        device: where to compute.
        mirror: whether to average over mirrored images.
        save_probabilities: whether the probability of every class is written.
        save_members: whether the label map of each model is written.
        agreement: whether it is measured how far the folds agree.
        preview: whether previews are drawn.
        post_processing: whether the selected post-processing is applied.
        whole_image: whether images are predicted whole, although the plan has a region.
        by_patient: whether names of predictions of DICOM begin with the patient's id.
        threads: number of threads that compute on a CPU.
        follow_links: whether links in the RUN folder may lead out of it.
        format: format of the predictions.
        seg_type: kind of a DICOM SEG.
        codes: table of coded concepts.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    run: str
    images: tuple[str, ...]
    config: tuple[str, ...] | None = None
    fold: tuple[int, ...] | None = None
    sequences: tuple[str, ...] | None = None
    device: str = "auto"
    mirror: bool | None = None
    save_probabilities: bool = False
    save_members: bool = False
    agreement: bool | None = None
    preview: bool = False
    post_processing: bool = True
    whole_image: bool = False
    by_patient: bool = False
    threads: int | None = None
    follow_links: bool = False
    format: Literal["seg.nrrd", "dicom-seg"] | None = None
    seg_type: Literal["binary", "labelmap", "fractional"] | None = None
    codes: str | None = None


class AskedCase(FileModel):
    """A case to predict, as it was listed; arguments as of `Case`.

    Args:
        files: size and time of each image, by which one that has changed since is noticed.
    """

    name: str
    images: tuple[str | None, ...]
    files: tuple[str, ...]
    several_channels_in_one_file: bool = False
    drawn_on: str | None = None
    problems: tuple[str, ...] = ()
    colours: bool = False

    @staticmethod
    def of(case: Case) -> AskedCase:
        """Return the record of a case.

        Raises:
            InputError: its name or a path is no text.
        """
        images = tuple(None if image is None else str(image) for image in case.images)
        if not all(is_text(text) for text in (case.name, *filter(None, images))):
            raise InputError(
                f"{case.name.encode(errors='replace').decode()}: its name or its path is not in UTF-8, so that it "
                "cannot be written down for other machines; rename it"
            )
        return AskedCase(
            name=case.name,
            images=images,
            files=tuple(_size_and_time(image) for image in case.images if image is not None),
            several_channels_in_one_file=case.several_channels_in_one_file,
            drawn_on=case.drawn_on,
            problems=case.problems,
            colours=case.colours,
        )

    def as_case(self) -> Case:
        """Return the case."""
        return Case(
            self.name,
            tuple(None if image is None else Path(image) for image in self.images),
            several_channels_in_one_file=self.several_channels_in_one_file,
            drawn_on=self.drawn_on,
            problems=self.problems,
            colours=self.colours,
        )


class PartNeeds(FileModel):
    """What a part of the predictions needs of a machine; fields as of `Needs`."""

    cores: int = Field(ge=1)
    memory_bytes: int | None = None
    gpus: int = Field(ge=0)
    seconds: float | None = None

    def as_needs(self) -> Needs:
        """Return what a unit needs."""
        return Needs(self.cores, self.memory_bytes, self.gpus, self.seconds)


class PredictionRequest(FileModel):
    """What was asked of `autoseg predict`; all paths are whole.

    Args:
        options: options of the command.
        labels: folder of references with which the predictions are compared at the end; None = they are not.
        models: digest of the models, from `models_now`, when it was asked.
        cases: cases to predict, as they were listed.
        parts: number of parts in which they are predicted.
        needs: what a part needs.
    """

    schema_version: Literal[1] = 1
    options: PredictionOptions
    labels: str | None = None
    models: str
    cases: tuple[AskedCase, ...] = Field(min_length=1)
    parts: int = Field(ge=1, le=MOST_PARTS)
    needs: PartNeeds

    @property
    def as_ascii(self) -> str:
        """Content of `work/predictions.json`, in characters that any program takes as they are."""
        return json.dumps(self.model_dump(mode="json"), indent=1)

    @property
    def made_from(self) -> str:
        """Digest of what decides every prediction beside its image: models and options, whatever the device."""
        return _digest([repr(deciding(self.options)).encode(), self.models.encode()])

    def names_of(self, part: int) -> tuple[str, ...]:
        """Names of the cases of a part, whose number counts from 0."""
        return tuple(case.name for case in self.cases[part :: self.parts])


def deciding(options: PredictionOptions) -> PredictionOptions:
    """The options that decide every prediction beside its image; the others have their defaults.

    What the table of codes says is in the digest of the models, wherever the table lies.
    """
    return replace(options, images=(), device="auto", threads=None, follow_links=False, codes=None)


def differing_options(before: PredictionOptions, now: PredictionOptions) -> list[str]:
    """Names of the options that differ, as they are given on the command line, but for images and codes.

    A table of codes that says something else is told by `models_told`, wherever it lies.
    """
    options = (field.name for field in fields(now) if field.name not in ("images", "codes"))
    differing = (name for name in options if getattr(before, name) != getattr(now, name))
    return ["RUN" if name == "run" else f"--{name.replace('_', '-')}" for name in differing]


def models_told(before: PredictionOptions, now: PredictionOptions) -> str:
    """What differs, in words, where the digest of the models does."""
    return "the models" if before.codes is None is now.codes else "the models or the table of --codes"


def write_prediction_request(folder: PredictionsFolder, request: PredictionRequest) -> None:
    """Write `work/predictions.json`, atomically.

    Raises:
        InputError: it would be too large to be read again.
    """
    require_room(request)
    write_text(folder.request, request.as_ascii)


def require_room(request: PredictionRequest) -> None:
    """Refuse more images than a list holds that is read again.

    Raises:
        InputError: there are more.
    """
    if (why := why_too_large(request.as_ascii.encode())) is not None:
        raise InputError(
            f"{len(request.cases):,} images are too many for one list, which {why}; predict them into several folders"
        )


def read_prediction_request(folder: PredictionsFolder) -> PredictionRequest:
    """Read `work/predictions.json`.

    Raises:
        RunFolderError: there is none, or it is malformed; the message names the file and the field.
    """
    found = read_model(folder.request, PredictionRequest, "give `autoseg predict` again, which writes it anew")
    if found is None:
        raise RunFolderError(f"{folder.request}: does not exist; `autoseg predict` with --engine makes it")
    return found


def read_former_request(folder: PredictionsFolder) -> PredictionRequest | None:
    """Read `work/predictions.json`; None where there is none that units can follow."""
    try:
        return read_prediction_request(folder) if folder.request.exists() else None
    except RunFolderError:
        # of another release, or damaged: no unit can follow it
        return None


def models_now(run: RunFolder, members: Sequence[tuple[str, int]], segments: str = "") -> str:
    """Digest of what a RUN folder predicts with, as it now is: the plan, the selection and the trained folds.

    Args:
        run: RUN folder, or a copy of its models.
        members: configuration and fold of each model that predicts.
        segments: what the table of codes says of the classes.
    """
    # imports torch
    from autoseg.network.weights import training_of

    told = [VERSION.encode(), *(_content(file) for file in (run.plan, run.fingerprint, run.selected))]
    for name, fold in members:
        told += [f"{name} {fold}".encode(), training_of(run, name, fold).encode()]
    return _digest([*told, segments.encode()])


def _size_and_time(image: Path) -> str:
    """What tells that an image has changed; empty where it is not there."""
    try:
        found = split_choice(image)[0].stat()
    except OSError:
        return ""
    return f"{found.st_size} {found.st_mtime_ns}"


def _content(file: Path) -> bytes:
    # what does not exist differs from what is empty
    return file.read_bytes() if file.exists() else b"none"


def _digest(contents: Iterable[bytes]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for content in contents:
        digest.update(f"{len(content)} ".encode())
        digest.update(content)
    return digest.hexdigest()
