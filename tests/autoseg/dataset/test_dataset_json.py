"""A `dataset.json` of strangers: what is foolish is refused with its place, whatever its size."""

import json

import pytest

from autoseg.dataset.dataset_json import MOST_TOLD
from autoseg.dataset.read import read_dataset
from autoseg.errors import DatasetError

DECATHLON = {"modality": {"0": "MRI"}, "labels": {"0": "background", "1": "lesion"}}


def problems_of(folder) -> tuple[str, ...]:
    with pytest.raises(DatasetError) as refused:
        read_dataset(folder)
    return refused.value.problems


def test_each_wrong_entry_is_told_with_its_line(tmp_path) -> None:
    entries = [{"image": "a.nii.gz", "label": i} for i in range(500)]
    text = json.dumps(DECATHLON | {"training": entries}, indent=1)
    (tmp_path / "dataset.json").write_text(text, encoding="utf-8")
    lines = [n for n, line in enumerate(text.splitlines(), start=1) if line.startswith('   "label":')]
    assert [problem.partition(":")[0] for problem in problems_of(tmp_path)] == [
        f"{tmp_path / 'dataset.json'}, line {line}, field training.{i}.label" for i, line in enumerate(lines)
    ]


@pytest.mark.parametrize(("count", "told"), [(MOST_TOLD + 7, "7 more fields"), (200_000, "200,000 values are wrong")])
def test_of_more_wrong_entries_the_number_is_told(tmp_path, count, told) -> None:
    (tmp_path / "dataset.json").write_text(json.dumps(DECATHLON | {"training": [1] * count}), encoding="utf-8")
    problems = problems_of(tmp_path)
    assert told in problems[-1] and len(problems) <= MOST_TOLD + 1


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[" * 100_000 + "]" * 100_000])
def test_endless_nesting_is_told(tmp_path, text) -> None:
    (tmp_path / "dataset.json").write_text(text, encoding="utf-8")
    assert "dataset.json: is nested deeper" in problems_of(tmp_path)[0]


def test_a_file_of_gigabytes_or_of_a_number_of_5000_digits_is_told(tmp_path) -> None:
    (tmp_path / "dataset.json").write_text('{"training": ' + "1" * 5_000 + "}", encoding="utf-8")
    assert "dataset.json: cannot be read (Exceeds the limit" in problems_of(tmp_path)[0]
    with (tmp_path / "dataset.json").open("wb") as file:
        file.truncate(2**33)
    assert "dataset.json: cannot be read (is 8192 MiB large, and 128 MiB are read at most" in problems_of(tmp_path)[0]


def test_a_file_in_utf16_is_read(tmp_path) -> None:
    document = json.dumps(DECATHLON | {"name": "Ödem", "training": []})
    (tmp_path / "dataset.json").write_text(document, encoding="utf-16")
    assert read_dataset(tmp_path).name == "Ödem"


@pytest.mark.parametrize("value", ["-5000000000", "1e308", "NaN", "Infinity", "1.5"])
def test_foolish_numbers_are_told_by_their_field(tmp_path, value) -> None:
    labels = f'"labels": {{"background": 0, "a": {value}}}'
    text = f'{{"modality": {{"0": "MRI"}}, {labels}, "numTraining": {value}, "training": []}}'
    (tmp_path / "dataset.json").write_text(text, encoding="utf-8")
    told = "\n".join(problems_of(tmp_path))
    assert "field labels.a: " in told and "field numTraining: " in told
