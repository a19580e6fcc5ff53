"""Names that become names of files."""

import pytest
from pydantic import TypeAdapter, ValidationError

from autoseg.names import PlainName, is_text, why_unsafe


@pytest.mark.parametrize("name", ["case_1", "Müller 3", "a.b-c(2)", "患者1", "console", "COM10"])
def test_safe_names(name):
    assert why_unsafe(name) is None


@pytest.mark.parametrize(
    "name", ["", "a/b", "a\\b", "..", ".a", "a.", "a ", " a", "-o", "a:b", "a\nb", "CON", "com1.x", "a" * 200]
)
def test_unsafe_names(name):
    assert why_unsafe(name)


def test_a_plain_name_leads_nowhere():
    plain = TypeAdapter(PlainName)
    assert plain.validate_python("T1+T2.3d") == "T1+T2.3d"
    for name in ("../victim", "/abs", "a/b", "..", "", "a\\b"):
        with pytest.raises(ValidationError, match="the name"):
            plain.validate_python(name)


@pytest.mark.parametrize(("path", "can_be_written"), [("/data/Müller", True), ("/data/\udcff", False)])
def test_a_path_of_other_bytes_is_no_text(path, can_be_written):
    assert is_text(path) == can_be_written
