"""Damaged images and label files: small valid ones of every format, cut, or with bytes or header fields drawn anew.

Each is read as the check of a data set reads it, and as `predict` reads its inputs or, if it is a segmentation, as a
label alone; in a child process that lives on, so that a crash, a hang, or memory beyond its share is seen.
"""

from __future__ import annotations

import gzip
import multiprocessing
import os
import random
import re
import shutil
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from tests.torture.outcome import Outcome

SECONDS = 300.0
MOST_KIB = 2**20
"""Memory that reading an image of a few kilobytes may take, above that of the process before its first one."""

FILES = (
    *(
        ".nii",
        ".nii.gz",
        ".two.nii",
        ".mgh",
        ".mgz",
        ".hdr",
        ".nrrd",
        ".nhdr",
        ".mha",
        ".mhd",
        ".gipl",
        ".gipl.gz",
        ".vtk",
        ".mrc",
    ),
    *(".h5", ".mnc", ".tif", ".png", ".bmp", ".jpg", ".dcm", ".many.dcm", ".rle.dcm"),
    *(".seg.nrrd", ".seg.dcm"),
)
SERIES = "series"
BESIDE = "beside.nii.gz"
"""The image of a segmentation, which is read as a label alone."""
SPAWN = multiprocessing.get_context("spawn")
_NUMBERS = (
    "0",
    "-1",
    "1",
    "2",
    "1e-300",
    "1e300",
    "nan",
    "inf",
    "-inf",
    "65535",
    "2147483647",
    "4294967297",
    "",
    "x",
    "%s",
)
# fields of the NIfTI-1 header: name, place, and letters of `struct`
_NIFTI_FIELDS = (
    *(("sizeof_hdr", 0, "i"), ("dim", 40, "8h"), ("intent_code", 68, "h"), ("datatype", 70, "h"), ("bitpix", 72, "h")),
    *(("pixdim", 76, "8f"), ("vox_offset", 108, "f"), ("scl_slope", 112, "f"), ("scl_inter", 116, "f")),
    *(("xyzt_units", 123, "B"), ("qform_code", 252, "h"), ("sform_code", 254, "h"), ("quatern", 256, "6f")),
    *(("srow", 280, "12f"), ("magic", 344, "4s"), ("extension", 348, "4s")),
)
# the same of NIfTI-2, and of MGH, which is big-endian
_NIFTI_2_FIELDS = (
    *(("sizeof_hdr", 0, "i"), ("magic", 4, "4s"), ("datatype", 12, "h"), ("dim", 16, "8q"), ("pixdim", 104, "8d")),
    *(("vox_offset", 168, "q"), ("scl_slope", 176, "d"), ("qform_code", 344, "i"), ("sform_code", 348, "i")),
    *(("quatern", 352, "6d"), ("srow", 400, "12d"), ("xyzt_units", 500, "i")),
)
_MGH_FIELDS = (
    *(("version", 0, "i"), ("dims", 4, "4i"), ("type", 20, "i"), ("goodRASFlag", 28, "h"), ("delta", 30, "3f")),
    *(("Mdc", 42, "9f"), ("Pxyz_c", 78, "3f")),
)
# tags whose values are numbers as text, and those that are 16-bit numbers
_DICOM_TEXTS = ((0x20, 0x13), (0x20, 0x32), (0x20, 0x37), (0x28, 0x30), (0x28, 0x08), (0x28, 0x1052), (0x28, 0x1053),
                (0x18, 0x88), (0x62, 0x05))  # fmt: skip
_DICOM_NUMBERS = ((0x28, 0x02), (0x28, 0x10), (0x28, 0x11), (0x28, 0x100), (0x28, 0x101), (0x28, 0x102), (0x28, 0x103),
                  (0x62, 0x04), (0x62, 0x0B))  # fmt: skip
_SYNTAXES = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.4.90",
             "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.1.99", "1.2.3")  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """What a child process says of one image; `fault` is empty where it was read or refused as it should be."""

    fault: str
    told: str
    peak_kib: int


def attempts(folder: Path, seed: int) -> Iterator[Outcome]:
    """Yield outcomes without end; `folder` is empty."""
    rng = random.Random(seed)
    sound = _sound_images(folder / "sound")
    child = _Child()
    try:
        while True:
            kind = rng.choice((*FILES, SERIES))
            work = folder / "work"
            shutil.rmtree(work, ignore_errors=True)
            shutil.copytree(sound / kind.strip("."), work)
            what = f"{kind}: {_damage(work, kind, rng)}"
            yield _outcome(child, work / SERIES if kind == SERIES else work / f"a{kind}", what)
    finally:
        child.stop()


def _outcome(child: _Child, image: Path, what: str) -> Outcome:
    answer = child.ask(image)
    if not answer.fault and answer.told and image.stem.split(".")[0] not in answer.told:
        answer = Answer(f"the message does not name the file: {answer.told}", "", 0)
    if answer.fault:
        child.stop()
        return Outcome(what, "fault", answer.fault)
    return Outcome(what, "right", answer.told or "read")


def _sound_images(folder: Path) -> Path:
    """A folder for each kind, which holds one valid image and a label map of the same grid."""
    import nibabel
    import numpy as np
    import SimpleITK as sitk

    from tests.autoseg.dataset import build

    own = (".two.nii", ".mgh", ".mgz")
    voxels = np.random.default_rng(0).integers(0, 255, (4, 5, 6))
    for ending in (ending for ending in FILES if not ending.endswith((".dcm", ".seg.nrrd", *own))):
        flat = ending in (".tif", ".png", ".bmp", ".jpg")
        dtype = np.uint8 if flat else np.float32 if ending in (".nii", ".nrrd", ".mhd") else np.int16
        image = sitk.GetImageFromArray((voxels[0] if flat else voxels).astype(dtype))
        image.SetSpacing((1.0, 1.5, 3.0)[: image.GetDimension()])
        path = folder / ending.strip(".") / f"a{ending}"
        path.parent.mkdir(parents=True)
        sitk.WriteImage(image, str(path), useCompression=ending == ".mha")
    for ending in own:
        (folder / ending.strip(".")).mkdir()
    affine = np.diag([1.0, 1.5, 3.0, 1.0])
    nibabel.save(nibabel.Nifti2Image(voxels.T.astype(np.float32), affine), folder / "two.nii" / "a.two.nii")
    for ending in ("mgh", "mgz"):
        nibabel.save(nibabel.MGHImage(voxels.T.astype(np.int16), affine), folder / ending / f"a.{ending}")
    build.dicom(folder / SERIES / SERIES, voxels)
    _sound_dicom_files(folder)
    _sound_segmentations(folder)
    return folder


def _sound_dicom_files(folder: Path) -> None:
    """A slice, a file of many frames with functional groups, and one whose frames are compressed."""
    import numpy as np
    from pydicom import dcmread
    from pydicom.uid import ImplicitVRLittleEndian, RLELossless

    from tests.autoseg.image.dicom import write

    voxels = np.random.default_rng(0).integers(0, 255, (4, 5, 6)).astype(np.int16)
    slices = write.stack(voxels, scale=(2.0, -1.0))
    write.single(folder / "dcm" / "a.dcm", slices[0], syntax=ImplicitVRLittleEndian)
    write.multi_frame(folder / "many.dcm" / "a.many.dcm", slices, syntax=ImplicitVRLittleEndian)
    packed = dcmread(write.multi_frame(folder / "rle.dcm" / "a.rle.dcm", slices))
    packed.compress(RLELossless)
    packed.save_as(folder / "rle.dcm" / "a.rle.dcm")


def _sound_segmentations(folder: Path) -> None:
    """Segmentations of 3D Slicer and of DICOM, each beside its image."""
    import numpy as np
    from pydicom.uid import ImplicitVRLittleEndian

    from autoseg.image.image import read_geometry
    from tests.autoseg.dataset import build
    from tests.autoseg.image import named
    from tests.autoseg.image.dicom import write, write_seg

    slicer, dicom = folder / "seg.nrrd", folder / "seg.dcm"
    layers = np.random.default_rng(0).integers(0, 2, (2, *build.SHAPE)).astype(np.uint8)
    layers[1] *= 1 - layers[0]
    image = build.write(slicer / BESIDE, build.voxels())
    named.slicer(slicer / "a.seg.nrrd", layers, read_geometry(image)[0], [("lesion", 1, 0), ("Lesion", 1, 1)])
    slices = write.stack(layers[0])
    # the axes (x, y) of the slices, and the way from one to the next
    build.write(dicom / BESIDE, build.voxels(), spacing=(0.75, 0.5, 3.0), origin=slices[0].position)
    frames = [(one, 1) for one in slices[:3]]
    write_seg.by_hand(dicom / "a.seg.dcm", frames, ["lesion"], syntax=ImplicitVRLittleEndian)


def _damage(work: Path, kind: str, rng: random.Random) -> str:
    """Damage one file of an image, and say how."""
    files = sorted(file for file in work.rglob("*") if file.is_file() and file.name != BESIDE)
    # the header is what most of the damage is for
    file = rng.choice(files) if kind == SERIES or rng.random() < 0.3 else work / f"a{kind}"
    is_packed = file.name.endswith((".gz", ".mgz")) and rng.random() < 0.8
    content = bytearray(gzip.decompress(file.read_bytes()) if is_packed else file.read_bytes())
    ways: list[Callable[[bytearray, random.Random], str]] = [_cut, _turn, _turn, _repeat]
    fields = _field_way(file)
    ways += [fields] * 4 if fields else []
    how = [rng.choice(ways)(content, rng) for _ in range(rng.choice((1, 1, 2, 3)))]
    file.write_bytes(gzip.compress(bytes(content)) if is_packed else bytes(content))
    return f"{file.name}{' unfolded' * is_packed}, " + ", ".join(how)


def _field_way(file: Path) -> Callable[[bytearray, random.Random], str] | None:
    name = file.name
    if name.endswith(".two.nii"):
        return partial(_header_field, fields=_NIFTI_2_FIELDS)
    if name.endswith((".mgh", ".mgz")):
        return partial(_header_field, fields=_MGH_FIELDS, order=">")
    if name.endswith((".nii", ".nii.gz", ".hdr")):
        return partial(_header_field, fields=_NIFTI_FIELDS)
    if name.endswith(".seg.nrrd"):
        # the segments come after the fields of the voxels
        return partial(_text_field, most=40)
    if name.endswith((".nrrd", ".nhdr", ".mha", ".mhd", ".vtk")):
        return _text_field
    return _dicom_field if name.endswith(".dcm") else None


def _cut(content: bytearray, rng: random.Random) -> str:
    at = rng.randrange(len(content) + 1)
    del content[at:]
    return f"cut at {at}"


def _turn(content: bytearray, rng: random.Random) -> str:
    if not content:
        return "empty"
    told = []
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.randrange(min(len(content), 400 if rng.random() < 0.7 else len(content)))
        content[at] = rng.randrange(256)
        told.append(f"byte {at} = {content[at]}")
    return " ".join(told)


def _repeat(content: bytearray, rng: random.Random) -> str:
    at, length = rng.randrange(len(content) + 1), rng.randrange(1, 200)
    content[at:at] = content[at : at + length]
    return f"{length} bytes at {at} twice"


def _number(letter: str, rng: random.Random) -> float | int | bytes:
    if letter == "s":
        return rng.randbytes(4)
    if letter in "fd":
        return rng.choice((0.0, -1.0, 1e-38, 1e38, float("nan"), float("inf"), 1.5e9, 352.0, rng.uniform(-2, 2)))
    least, most = {"h": (-(2**15), 2**15), "i": (-(2**31), 2**31), "q": (-(2**63), 2**63), "B": (0, 256)}[letter]
    return rng.choice((least, most - 1, 0, 1, 2, 3, 4, 16, 64, 128, rng.randrange(least, most))) % most


def _header_field(
    content: bytearray, rng: random.Random, *, fields: tuple[tuple[str, int, str], ...], order: str = "<"
) -> str:
    name, at, letters = rng.choice(fields)
    many, letter = (int(letters[:-1] or 1), letters[-1]) if letters[-1] != "s" else (1, "s")
    place = rng.randrange(many)
    value = _number(letter, rng)
    size = struct.calcsize(f"{order}{'4s' if letter == 's' else letter}")
    if at + (place + 1) * size > len(content):
        return f"{name} is gone"
    struct.pack_into(f"{order}{'4s' if letter == 's' else letter}", content, at + place * size, value)
    return f"{name}[{place}] = {value!r}"


def _text_field(content: bytearray, rng: random.Random, most: int = 16) -> str:
    """Draw another value for one word of one of the first lines of a header in text."""
    lines = list(re.finditer(rb"[^\n]*\n", bytes(content[:2000])))[:most]
    words = [word for line in lines for word in re.finditer(rb"[^\s:=(),]+", line[0])]
    if not words:
        return "no field"
    line = rng.choice(lines)
    found = list(re.finditer(rb"[^\s:=(),]+", line[0]))
    if not found:
        return "an empty line"
    word = rng.choice(found)
    value = rng.choice(
        (*_NUMBERS, "LIST", "LOCAL", "/dev/zero", "a%03d.raw 1 999999999 1", "a%s%n.raw 1 9 1", "gzip", "double")
    )
    content[line.start() + word.start() : line.start() + word.end()] = value.encode()
    return f"{line[0].strip()!r}: {word[0]!r} = {value!r}"


def _dicom_field(content: bytearray, rng: random.Random) -> str:
    way = rng.random()
    if way < 0.2:
        syntax = rng.choice(_SYNTAXES)
        at = content.find(b"1.2.840.10008.1.2\0")
        if at < 0:
            return "no syntax"
        content[at : at + 18] = syntax.encode().ljust(18, b"\0")[:18] if len(syntax) <= 18 else syntax.encode()[:18]
        return f"transfer syntax {syntax}"
    group, element = rng.choice(_DICOM_TEXTS if way < 0.6 else _DICOM_NUMBERS)
    at = content.find(struct.pack("<HH", group, element))
    if at < 0 or at + 8 > len(content):
        # the tag is put in before the numbers of rows
        at = content.find(struct.pack("<HH", 0x28, 0x10))
        if at < 0:
            return "no tag"
        content[at:at] = struct.pack("<HHI", group, element, 0)
    length = min(struct.unpack_from("<I", content, at + 4)[0], len(content))
    if way < 0.6:
        text = "\\".join(rng.choice(_NUMBERS) for _ in range(rng.choice((1, 2, 3, 6))))
        value = text.encode() + b" " * (len(text) % 2)
    else:
        text = str(number := rng.choice((0, 1, 7, 8, 12, 16, 32, 64, 1000, 65535)))
        value = struct.pack("<H", number)
    content[at + 4 : at + 8 + length] = struct.pack("<I", len(value)) + value
    return f"tag ({group:04x},{element:04x}) = {text!r}"


class _Child:
    """A process that reads images one after the other; after a fault another one takes its place."""

    def __init__(self) -> None:
        self._running: tuple[Connection, multiprocessing.process.BaseProcess] | None = None
        self._base_kib = 0

    def ask(self, image: Path) -> Answer:
        connection, process = self._running or self._start()
        try:
            connection.send(image)
            if not connection.poll(SECONDS):
                return Answer(f"no answer within {SECONDS:g} s", "", 0)
            answer: Answer = connection.recv()
        except (EOFError, OSError):
            process.join(SECONDS)
            return Answer(f"the process ended with status {process.exitcode}", "", 0)
        if answer.peak_kib - self._base_kib > MOST_KIB:
            return Answer(f"took {(answer.peak_kib - self._base_kib) >> 10} MiB: {answer.fault or answer.told}", "", 0)
        return answer

    def _start(self) -> tuple[Connection, multiprocessing.process.BaseProcess]:
        ours, theirs = SPAWN.Pipe()
        process = SPAWN.Process(target=_serve, args=(theirs,), daemon=True)
        process.start()
        theirs.close()
        self._base_kib = ours.recv()
        self._running = ours, process
        return self._running

    def stop(self) -> None:
        if self._running is not None:
            connection, process = self._running
            connection.close()
            process.kill()
            process.join()
            self._running = None


def _serve(connection: Connection) -> None:
    """Read each image that is named, as the check of a data set and as a prediction do, until the pipe is closed."""
    import resource
    import warnings

    import autoseg.dataset.check
    import autoseg.dataset.load  # noqa: F401 - imports count as memory at the start

    warnings.simplefilter("ignore", RuntimeWarning)
    # libraries in C write there, as does the progress bar
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(silence, stream)
    connection.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    while True:
        try:
            image = connection.recv()
        except EOFError:
            return
        fault, told = _read_both_ways(image)
        connection.send(Answer(fault, told, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))


def _read_both_ways(image: Path) -> tuple[str, str]:
    """A fault, empty if there was none, and the refusal, empty if the image was read."""
    import traceback

    from autoseg.dataset.case import Case, Dataset
    from autoseg.dataset.check import check_dataset
    from autoseg.dataset.inputs import read_inputs
    from autoseg.dataset.load import load_case
    from autoseg.dataset.record import record_of
    from autoseg.errors import AutosegError, DatasetError
    from autoseg.image.labels import Labels

    labels = Labels(values=(0, 1), names=("background", "lesion"))
    told = []
    beside = image.with_name(BESIDE)
    is_label = beside.exists()
    try:
        case = Case("one", (beside if is_label else image,), image)
        dataset = Dataset("d", "table", ("T1",), (False,), labels, (case,), folder=image.parent)
        record_of(dataset)
        try:
            check_dataset(dataset, workers=1)
        except DatasetError as error:
            told += [problem for problem in error.problems if problem.startswith("one: ")]
        (found,) = (case,) if is_label else read_inputs([image], ("T1",))
        if wrong := _not_sound(load_case(found, labels if is_label else None, "canonical")):
            return wrong, ""
        # the check may refuse it as its own label map
        return "", ""
    except AutosegError as error:
        told.append(str(error))
    except Exception:
        return traceback.format_exc(), ""
    return "", "; ".join(told)


def _not_sound(loaded: object) -> str:
    """What is wrong with an image that was read: a geometry or voxels that cannot be computed with."""
    import numpy as np

    from autoseg.dataset.load import LoadedCase

    assert isinstance(loaded, LoadedCase)
    geometry = loaded.geometry
    numbers = np.array([*geometry.spacing, *geometry.origin, *np.ravel(geometry.direction)])
    if not np.isfinite(numbers).all() or min(geometry.spacing) <= 0 or not all(geometry.shape):
        return f"accepted with the geometry {geometry}"
    if not np.isfinite(loaded.image).all():
        return "accepted with voxels that are not finite"
    return ""
