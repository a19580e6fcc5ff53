"""Names of predictions of DICOM series."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoseg.dataset.series_names import SeriesName, name_of, unique
from autoseg.image.dicom.frame import Series
from autoseg.image.dicom.tree import FoundSeries
from autoseg.names import same_name, why_unsafe

ROOT = Path("/data/export")


def found(folder: Path, path: Path, **about: str) -> FoundSeries:
    return FoundSeries(Series("1.2.3", **about), "patient_1", folder, (folder / "a",), 1, path, path)


@pytest.mark.parametrize(
    ("folder", "path", "name"),
    [
        ("p1/st1/se1", "p1/st1/se1", "p1_st1_se1"),
        ("p1/st1", "p1/st1?series=4", "p1_st1_series4"),
        ("p1/st1", "p1/st1?series=4&echo=4.92", "p1_st1_series4_echo4.92"),
        ("p1", "p1?image_type=M", "p1_image_typeM"),
        (".", ".", "export"),
        (".", "../export?series=4", "export_series4"),
        ("MR: head & neck", "MR: head & neck", "MR-head-neck"),
    ],
)
def test_by_folder_and_series(folder: str, path: str, name: str) -> None:
    of = found(ROOT / folder, ROOT / path, number="4", patient="Doe")
    assert name_of(of, ROOT / path, ROOT, by_patient=False).text(0) == name
    assert name_of(of, ROOT / path, ROOT, by_patient=True).text(0) == f"Doe_{name}"


def test_folders_around_tell_apart_what_has_one_name() -> None:
    names = [SeriesName("scan", ("data", "p1")), SeriesName("scan", ("data", "p2")), SeriesName("other", ("data",))]
    assert unique(names, ()) == ["p1_scan", "p2_scan", "other"]
    assert unique([*names[:1] * 2], ()) == ["data_p1_scan", "data_p1_scan_2"]
    assert unique(names[:1], ["SCAN"]) == ["p1_scan"]


parts = st.text("abA_é. -*e\u0301", max_size=6)


@settings(max_examples=80)
@given(
    names=st.lists(st.tuples(parts, st.lists(parts, max_size=3), st.sampled_from([1, 60])), max_size=8),
    taken=st.lists(parts, max_size=3),
)
def test_no_two_have_one_name(names: list[tuple[str, list[str], int]], taken: list[str]) -> None:
    given_names = []
    for own, around, times in names:
        folder = ROOT.joinpath(
            *(part.replace(".", "_") or "_" for part in around), own.replace(".", "_") * times or "_"
        )
        given_names.append(name_of(found(folder, folder), folder, ROOT, by_patient=False))
    texts = unique(given_names, taken)
    assert len({*map(same_name, texts)}) == len(texts)
    assert not {*map(same_name, texts)} & {*map(same_name, taken)}
    assert not any(why_unsafe(text) for text in texts)
