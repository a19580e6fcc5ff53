"""Blosc2 files by the library itself that would read, ask a server or run something, and plain arrays."""

import shutil

import blosc2
import numpy as np
import pytest

from autoseg.errors import RunFolderError
from autoseg.run_folder.array_file import NotAPlainArray, open_array
from autoseg.run_folder.preprocessed_case import open_case
from tests.torture.hostile_arrays import HOSTILE, plain, with_plugin
from tests.trainer.tiny_run import make_run, make_training


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The current folder is the stranger's, with modules of the names that the library would import."""
    for name in ("grok", "openhtj2k", "openzl", "j2k", "htj2k"):
        text = "open('ran', 'w').close()\ndef print_libpath(): print('/')\n"
        (tmp_path / f"blosc2_{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    assert not (tmp_path / "ran").exists(), "code of the file ran"


def test_a_plain_array_is_read_as_the_library_reads_it(folder):
    plain(folder / "image.b2nd")
    opened = open_array(folder / "image.b2nd")
    assert isinstance(opened, blosc2.NDArray)
    np.testing.assert_array_equal(opened[1:3], blosc2.open(str(folder / "image.b2nd"), mode="r")[1:3])


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_no_plain_array_is_refused(folder, kind):
    HOSTILE[kind](folder / "image.b2nd")
    with pytest.raises(NotAPlainArray, match=r"image\.b2nd"):
        open_array(folder / "image.b2nd")


def test_the_plugin_would_have_run_without_the_refusal(folder):
    with_plugin("codec")(folder / "image.b2nd")
    array = blosc2.blosc2_ext.open(str(folder / "image.b2nd"), "r", 0)
    if shutil.which("python") is None and shutil.which("python3") is None:
        pytest.skip("the library finds no python to start")
    with pytest.raises(RuntimeError):
        array[:]
    assert (folder / "ran").exists()
    (folder / "ran").unlink()


def test_a_file_that_is_replaced_after_it_was_looked_at_is_looked_at_again(folder):
    plain(folder / "image.b2nd")
    open_array(folder / "image.b2nd")
    HOSTILE["own metadata"](folder / "image.b2nd")
    with pytest.raises(NotAPlainArray):
        open_array(folder / "image.b2nd")


@pytest.mark.parametrize("content", [b"", b"\x9e\xa8b2frame\0", b"no blosc2 " * 20])
def test_what_is_no_blosc2_file_is_refused(folder, content):
    (folder / "image.b2nd").write_bytes(content)
    with pytest.raises(NotAPlainArray):
        open_array(folder / "image.b2nd")


@pytest.mark.parametrize("kind", ["stored function", "codec", "folder", "plain"])
def test_a_case_with_such_a_file_is_refused_by_name(folder, kind):
    run = make_run(folder / "run", make_training())
    path = run.case("3d", "ball_0") / "image.b2nd"
    path.unlink()
    (HOSTILE | {"plain": plain})[kind](path)
    with pytest.raises(RunFolderError, match=r"ball_0: damaged \(image\.b2nd"):
        open_case(path.parent)
