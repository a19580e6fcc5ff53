"""A turned byte is noticed; what was written by earlier releases is not refused."""

import json
import shutil
import subprocess

import pytest
from pydantic import ValidationError

from autoseg.disk.checksums import LIST_NAME, SealedModel, changed_files, write_checksums
from autoseg.files import FileModel


@pytest.fixture
def folder(tmp_path):
    for name, content in (("a", b"0123456789"), ("b.b2nd", bytes(range(256)))):
        (tmp_path / name).write_bytes(content)
    write_checksums(tmp_path, ("a", "b.b2nd"))
    return tmp_path


def turn_a_byte(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("place", [0, 100, 255])
def test_a_turned_byte_is_noticed(folder, place):
    assert changed_files(folder) == ()
    turn_a_byte(folder / "b.b2nd", place)
    assert changed_files(folder) == ("b.b2nd",)


def test_a_missing_file_and_a_damaged_list_are_noticed(folder):
    (folder / "a").unlink()
    assert changed_files(folder) == ("a",)
    turn_a_byte(folder / LIST_NAME, 3)
    assert changed_files(folder)


def test_without_a_list_nothing_is_known(tmp_path):
    assert changed_files(tmp_path) is None


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed")
def test_sha256sum_reads_the_list(folder):
    assert subprocess.run(["sha256sum", "-c", "--strict", LIST_NAME], cwd=folder, capture_output=True).returncode == 0


class Record(SealedModel, FileModel):
    name: str
    lengths: tuple[float, ...]
    inner: dict[str, int | None]


RECORD = Record(name="Wirbelsäule", lengths=(0.1, 1e-7, 3.0), inner={"a": 1, "b": None})


def test_a_sealed_record_is_read_as_it_was_written():
    assert Record.model_validate_json(RECORD.sealed_json()) == RECORD
    # the order of the fields and the blanks between them do not matter
    fields = json.loads(RECORD.sealed_json())
    assert Record.model_validate_json(json.dumps(dict(reversed(fields.items())))) == RECORD
    assert RECORD.changed(name="other").name == "other"


def test_a_record_of_an_earlier_release_has_no_checksum():
    assert Record.model_validate_json(RECORD.model_dump_json()) == RECORD


def test_every_turned_byte_of_a_sealed_record_is_noticed_or_changes_nothing():
    text = RECORD.sealed_json().encode()
    noticed = 0
    for place in range(len(text)):
        turned = bytearray(text)
        turned[place] ^= 1
        try:
            assert Record.model_validate_json(bytes(turned)) == RECORD
        except ValidationError:
            noticed += 1
    assert noticed > 0.8 * len(text)
