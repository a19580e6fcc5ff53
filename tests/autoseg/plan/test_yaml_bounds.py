"""A plan that unfolds, or is deeper or longer than any plan, is refused at the first line beyond the bounds."""

import pytest

from autoseg.errors import PlanError
from autoseg.plan.yaml_comments import read_yaml

LAUGHS = "a0: &a0 [lol]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (LAUGHS, r"line 2: \*a0 repeats another value"),
        ("a: &a [*a]\n", r"line 1: \*a repeats"),
        ("a: &a {b: 1}\nc:\n  <<: *a\n", r"line 3: \*a repeats"),
        ("[" * 100_000, "line 1: is nested deeper"),
        ("- " * 100_000 + "x", "line 1: is nested deeper"),
        ("{a: " * 100_000, "line 1: is nested deeper"),
        ("".join(" " * i + "a:\n" for i in range(500)), "line 32: is nested deeper"),
        ("a:\n" + "- 1\n" * 100_001, "line 99999: holds more than 100,000 values"),
        ("a: " + "1" * 5_000, "not valid YAML"),
        ("a: 2001-99-99", "not valid YAML"),
        ("a: 1\na: 2", "not valid YAML"),
    ],
)
def test_it_is_refused_by_file_and_line(tmp_path, text, told) -> None:
    (tmp_path / "plan.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(PlanError, match=rf"plan\.yaml: .*{told}"):
        read_yaml(tmp_path / "plan.yaml")


def test_anchors_alone_and_thirty_levels_are_read(tmp_path) -> None:
    (tmp_path / "plan.yaml").write_text("a: &a 1\nb: " + "[" * 30 + "]" * 30, encoding="utf-8")
    assert read_yaml(tmp_path / "plan.yaml")["a"] == 1
