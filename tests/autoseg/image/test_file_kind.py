"""What a path is that cannot be read: told by what it is, without waiting at it."""

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from autoseg.dataset.inputs import read_inputs
from autoseg.dataset.listing import missing
from autoseg.errors import ImageError
from autoseg.image.file_kind import why_unreadable
from autoseg.image.image import read_geometry, read_image, read_label
from tests.autoseg.dataset import build


def pipe(path: Path) -> None:
    os.mkfifo(path)


def listener(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(path))


def link(target: str) -> "object":
    return lambda path: path.symlink_to(target)


KINDS = {
    "pipe": (pipe, "is a named pipe"),
    "socket": (listener, "is a socket"),
    "device": (link("/dev/zero"), "is a device"),
    "dangling": (link("nowhere.nii"), "is a link to nowhere.nii, and that file does not exist"),
    "loop": (link("a.nii"), "is a link in a loop of links"),
    "missing": (lambda path: None, "does not exist"),
}


@pytest.mark.parametrize(("make", "told"), KINDS.values(), ids=KINDS.keys())
def test_every_reader_says_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make, told: str) -> None:
    # the path of a socket may have a hundred characters
    monkeypatch.chdir(tmp_path)
    path = Path("a.nii")
    make(path)
    for read in (read_image, read_label, read_geometry):
        with pytest.raises(ImageError, match=f"a.nii: {told}"):
            read(path)
    assert told in missing(path, "cases.csv, line 2")[0]
    (case,) = read_inputs([path], ("T1",))
    assert case.name == "a"


def test_what_lies_in_a_folder_of_slices(tmp_path: Path) -> None:
    folder = build.dicom(tmp_path / "scan", np.random.default_rng(0).integers(0, 1000, (4, 5, 6)))
    pipe(folder / "z.fifo")
    with pytest.raises(ImageError, match=r"z\.fifo: is a named pipe"):
        read_image(folder)
    (folder / "z.fifo").unlink()
    (folder / "slice_009.dcm").symlink_to("gone.dcm")
    with pytest.raises(ImageError, match=r"slice_009\.dcm: is a link to gone\.dcm"):
        read_image(folder)


@pytest.mark.parametrize(("header", "ending"), [("ElementDataFile = {}\n", ".mhd"), ("data file: {}\n", ".nhdr")])
def test_a_header_that_names_a_pipe_or_a_device(tmp_path: Path, header: str, ending: str) -> None:
    path = build.write(tmp_path / f"a{ending}", build.voxels())
    text = path.read_text(encoding="utf-8")
    pipe(tmp_path / "voxels")
    for name, told in (("voxels", "is a named pipe"), ("/dev/zero", "is a device"), ("gone.raw", "does not exist")):
        key = header.split("{")[0].strip()
        lines = [header.format(name).strip() if line.startswith(key) else line for line in text.splitlines()]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        with pytest.raises(ImageError, match=f"{name}: {told}"):
            read_image(path)


@pytest.fixture
def as_another_user() -> Iterator[Path]:
    """A folder that everybody may enter; the test runs without the rights of root, which could read everything."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder


def without_rights(function, *arguments):
    """Call a function as a user who owns nothing."""
    if os.geteuid() != 0:
        return function(*arguments)
    os.seteuid(65534)
    try:
        return function(*arguments)
    finally:
        os.seteuid(0)


def test_without_permission(as_another_user: Path) -> None:
    file = build.write(as_another_user / "a.nii.gz", build.voxels())
    series = build.dicom(as_another_user / "scan", np.random.default_rng(0).integers(0, 1000, (4, 5, 6)))
    assert without_rights(why_unreadable, file) is None
    for path in (file, series, series / "slice_001.dcm"):
        path.chmod(0)
        for read in (read_image, read_geometry):
            with pytest.raises(ImageError, match="no permission to read it"):
                without_rights(read, path)
        if path != series:
            continue
        assert "no permission" in str(without_rights(missing, path, "line 2"))
        series.chmod(0o755)
    series.chmod(0o755)
    with pytest.raises(ImageError, match=r"slice_001\.dcm: no permission to read it"):
        without_rights(read_image, series)
    file.chmod(0o644)
