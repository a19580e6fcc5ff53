"""Text files beyond the bounds are refused before they are read, and say so."""

import os
from pathlib import Path

import pytest

from autoseg.disk.text_files import MOST_JSON_BYTES, MOST_VALUES, MOST_YAML_BYTES, read_yaml_bytes
from autoseg.errors import RunFolderError
from autoseg.files import FileModel, read_existing, read_utf8


def sparse(path: Path, size: int) -> Path:
    """A file of zeros that takes no room on the disk."""
    with path.open("wb") as file:
        file.truncate(size)
    return path


def test_a_file_of_gigabytes_is_refused_by_its_size(tmp_path) -> None:
    with pytest.raises(RunFolderError, match=r"case\.json: is 8192 MiB large, and 128 MiB are read at most"):
        read_utf8(sparse(tmp_path / "case.json", 8 * 2**30))
    with pytest.raises(RunFolderError, match=r"plan\.yaml: is 128 MiB large, and 2 MiB are read at most"):
        read_utf8(sparse(tmp_path / "plan.yaml", MOST_JSON_BYTES), read_yaml_bytes)
    assert len(read_utf8(sparse(tmp_path / "small", MOST_YAML_BYTES), read_yaml_bytes)) == MOST_YAML_BYTES


def test_more_values_than_any_run_has_are_refused(tmp_path) -> None:
    (tmp_path / "many.json").write_bytes(b"[" + b"1," * MOST_VALUES + b"1]")
    with pytest.raises(RunFolderError, match=r"many\.json: has 2,000,001 values"):
        read_utf8(tmp_path / "many.json")


def test_a_pipe_is_told_without_waiting_for_its_writer(tmp_path) -> None:
    os.mkfifo(tmp_path / "plan.yaml")
    with pytest.raises(RunFolderError, match="is a pipe"):
        read_utf8(tmp_path / "plan.yaml")


def test_a_text_in_utf16_or_with_a_mark_is_read_as_utf8(tmp_path) -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        (tmp_path / "a.json").write_text('{"name": "Ödem"}', encoding=encoding)
        assert read_utf8(tmp_path / "a.json") == '{"name": "Ödem"}'.encode()


def test_of_very_many_wrong_values_only_the_number_is_told(tmp_path) -> None:
    class Cases(FileModel):
        cases: tuple[str, ...]

    (tmp_path / "a.json").write_bytes(b'{"cases": [' + b"1," * 200_000 + b"1]}")
    with pytest.raises(RunFolderError, match=r"a\.json: 200,001 values are wrong") as refused:
        read_existing(tmp_path / "a.json", Cases)
    assert len(str(refused.value)) < 300
