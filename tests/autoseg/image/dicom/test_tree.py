"""The series of a folder of any depth, and what is left out of it with its reason."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import BasicTextSRStorage, RTStructureSetStorage, SecondaryCaptureImageStorage, SegmentationStorage

from autoseg.errors import ImageError
from autoseg.image.dicom.read import read_dicom, read_dicom_geometry
from autoseg.image.dicom.sources import files_of
from autoseg.image.dicom.tree import DicomTree, read_tree
from autoseg.image.image import read_image
from tests.autoseg.image.dicom import write

SCOUT = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}


def slices(count: int, seed: int = 0, **elements: object) -> list[write.Slice]:
    array = np.random.default_rng(seed).integers(-500, 500, (count, 3, 4)).astype(np.int16)
    return [one.with_elements(**elements) for one in write.stack(array)]


def array_of(of: Sequence[write.Slice]) -> np.ndarray:
    return np.stack([one.voxels for one in of])


def reasons(tree: DicomTree) -> dict[str, str]:
    return {one.file.relative_to(tree.folder).as_posix(): one.why for one in tree.left_out}


SERIES = st.fixed_dictionaries(
    {"count": st.integers(2, 4), "description": st.sampled_from(["t1_sag", "T2", "dwi", ""])}
)


@settings(max_examples=5, deadline=None)
@given(
    layout=st.lists(st.lists(st.lists(SERIES, min_size=1, max_size=2), min_size=2, max_size=2), min_size=3, max_size=3),
    flat=st.sampled_from(["series", "study", "patient", "all"]),
    endings=st.booleans(),
    data=st.data(),
)
def test_three_patients_with_two_studies(
    layout: list[list[list[dict[str, object]]]], flat: str, endings: bool, data: st.DataObject
) -> None:
    """However files lie in folders, each series is found once, with its files, and its path reads its voxels."""
    with tempfile.TemporaryDirectory() as name:
        root, expected, number = Path(name), {}, 0
        for p, studies in enumerate(layout):
            for s, series in enumerate(studies):
                for i, one in enumerate(series):
                    levels = [f"p{p}", f"st{s}", f"se{i}"][: ["all", "patient", "study", "series"].index(flat)]
                    uid, folder = f"1.2.{p}.{s}.{i}", root.joinpath(*levels)
                    of = slices(
                        one["count"], number, PatientID=f"ID{p}", StudyInstanceUID=f"1.{p}.{s}", SeriesInstanceUID=uid,
                        SeriesNumber=data.draw(st.integers(1, 3)), SeriesDescription=one["description"], Modality="MR",
                    )  # fmt: skip
                    # names of the files tell nothing of the series
                    names = [f"{k:02d}_{number:03d}" + (".dcm" if endings else "") for k in range(len(of))]
                    files = {write.single(folder / file, a) for file, a in zip(names, of, strict=True)}
                    expected[uid] = files, array_of(of), p, s
                    number += 1
        tree = read_tree(root)
        assert tree.left_out == () and tree.others == () and tree.damaged == ()
        assert len(tree.series) == len(expected)
        for found in tree.series:
            files, array, p, s = expected.pop(found.about.uid)
            assert set(found.files) == files and found.frames == len(files)
            assert (found.about.patient, found.about.study) == (f"ID{p}", f"1.{p}.{s}")
            assert found.patient == f"patient_{p + 1}" and found.about.modality == "MR"
            for path in (found.path, found.path_by_series):
                np.testing.assert_array_equal(read_dicom(path).array, array)
                assert set(files_of(path)) == files
            np.testing.assert_array_equal(read_image(found.path).array[0], array)


def test_a_folder_with_one_series_is_named_without_it(tmp_path: Path) -> None:
    write.series(tmp_path / "alone", slices(3))
    first, second = slices(3, 1, SeriesNumber=3), slices(3, 2, SeriesInstanceUID="1.2.3", SeriesNumber=4)
    write.series(tmp_path / "two", [*first, *second])
    same_number = [slices(3, i, SeriesInstanceUID=f"1.2.4.{i}", SeriesNumber=5) for i in range(2)]
    write.series(tmp_path / "same", [*same_number[0], *same_number[1]])
    paths = [found.path.relative_to(tmp_path).as_posix() for found in read_tree(tmp_path).series]
    assert paths == ["alone", "same?series=1.2.4.0", "same?series=1.2.4.1", "two?series=3", "two?series=4"]
    assert read_image(tmp_path / "two?series=4").modality == "MR"


def test_what_is_left_out_is_named(tmp_path: Path) -> None:
    scan = tmp_path / "p" / "scan"
    write.series(scan, slices(3))
    write.series(tmp_path / "p" / "scout", slices(2, SeriesInstanceUID="1.2.1", **SCOUT))
    by_name = {"SeriesInstanceUID": "1.2.2", "SeriesDescription": "3-plane_Localizer"}
    write.series(tmp_path / "p" / "survey", slices(2, **by_name))
    write.single(scan / "single", slices(1, SeriesInstanceUID="1.2.4")[0])
    gone = {"ImagePositionPatient": None, "ImageOrientationPatient": None, "PixelSpacing": None}
    for name, sop_class in (
        ("capture", SecondaryCaptureImageStorage), ("report", BasicTextSRStorage),
        ("contours", RTStructureSetStorage), ("seg", SegmentationStorage),
        ("shown", "1.2.840.10008.5.1.4.1.1.11.1"),
    ):  # fmt: skip
        write.single(tmp_path / "other" / name, slices(1, **gone)[0], sop_class)
    (tmp_path / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    (tmp_path / "gone.dcm").symlink_to("nowhere")
    (tmp_path / "notes.txt").write_text("seen", encoding="utf-8")
    (tmp_path / "empty.dcm").write_bytes(b"")
    tree = read_tree(tmp_path)
    assert [found.path for found in tree.series] == [scan]
    assert tree.others == (tmp_path / "notes.txt",)
    ((damaged),) = tree.damaged
    assert damaged.file.name == "empty.dcm" and "damaged" in damaged.why
    told = reasons(tree)
    for name, why in {
        "DICOMDIR": "an index of a folder (DICOMDIR)",
        "gone.dcm": "a link to nowhere, and that file does not exist",
        "p/scout/f000.dcm": "a localiser",
        "p/survey/f001.dcm": "a localiser by its description (3-plane_Localizer)",
        "p/scan/single": "a single slice beside a volume of another series",
        "other/report": "a report (SR)",
        "other/shown": "a presentation state (how a viewer showed other images)",
    }.items():
        assert told[name] == why
    assert told["other/capture"].startswith("a screen capture (Secondary Capture)")
    assert told["other/contours"].startswith("contours (RTSTRUCT)")
    assert told["other/seg"].startswith("a segmentation (DICOM SEG)")
    assert len(told) == 12


def test_parts_of_one_volume_in_several_folders_are_one_image(tmp_path: Path) -> None:
    of = slices(6, SeriesNumber=3)
    for z, one in enumerate(of):
        write.single(tmp_path / "study" / str(z // 2) / f"image{z}", one)
    (found,) = read_tree(tmp_path).series
    assert found.path == tmp_path / f"study?series={write.SERIES}" and found.frames == 6
    np.testing.assert_array_equal(read_dicom(found.path).array, array_of(of))


@pytest.mark.parametrize("kind", ["copies", "echoes"])
def test_copies_and_sorted_echoes_of_a_series_are_images_of_their_own(tmp_path: Path, kind: str) -> None:
    for i, folder in enumerate(("first", "second")):
        echo = {"EchoTime": 2.5 * (i + 1)} if kind == "echoes" else {}
        write.series(tmp_path / folder, slices(3, i if kind == "echoes" else 0, **echo))
    tree = read_tree(tmp_path)
    assert [found.path for found in tree.series] == [tmp_path / "first", tmp_path / "second"]
    assert any("lies in 2 folders, and each counts as an image" in note for note in tree.notes)


def test_damage_fails_the_images_that_it_may_belong_to(tmp_path: Path) -> None:
    """A damaged slice is never left out of its series in silence; another series beside it can be read."""
    fine, other = slices(4, 1, SeriesNumber=1), slices(4, 2, SeriesInstanceUID="1.2.3", SeriesNumber=2)
    folder = write.series(tmp_path / "scan", [*fine, *other])
    last = folder / "f007.dcm"
    content = last.read_bytes()
    last.write_bytes(content[:-4])
    first, second = read_tree(tmp_path).series
    assert len(second.files) == 4
    np.testing.assert_array_equal(read_dicom(first.path).array, array_of(fine))
    with pytest.raises(ImageError, match=r"f007\.dcm: truncated"):
        read_dicom(second.path)
    # too damaged to tell its series
    last.write_bytes(content[:200])
    for found in read_tree(tmp_path).series:
        with pytest.raises(ImageError, match=r"f007\.dcm"):
            read_dicom_geometry(found.path)


def test_patients_without_an_id_and_with_one_for_all(tmp_path: Path) -> None:
    for i in range(2):
        write.series(tmp_path / "none" / str(i), slices(2, i, StudyInstanceUID=f"1.{i}"))
        alike = {"PatientID": "ANON", "StudyInstanceUID": f"2.{i}", "SeriesInstanceUID": f"3.{i}"}
        write.series(tmp_path / "alike" / str(i), slices(2, i, **alike))
    nameless, alike = read_tree(tmp_path / "none"), read_tree(tmp_path / "alike")
    assert [found.patient for found in nameless.series] == ["patient_1", "patient_2"]
    assert "2 studies state no patient's id" in nameless.notes[-1]
    assert [found.patient for found in alike.series] == ["patient_1", "patient_1"]
    assert "state one patient's id" in alike.notes[-1] and "ANON" not in alike.notes[-1]


def test_slices_without_an_id_are_of_their_series_patient(tmp_path: Path) -> None:
    of = slices(4, 1)
    write.series(tmp_path / "scan", [one.with_elements(PatientID="one") if i else one for i, one in enumerate(of)])
    tree = read_tree(tmp_path)
    (found,) = tree.series
    assert (found.about.patient, found.patient, found.frames) == ("one", "patient_1", 4)
    assert not [note for note in tree.notes if "state no patient's id" in note]
    np.testing.assert_array_equal(read_dicom(found.path).array, array_of(of))


def test_a_file_of_many_frames_beside_slices_is_named_itself(tmp_path: Path) -> None:
    of = slices(5, 1)
    path = write.multi_frame(tmp_path / "enhanced.dcm", of)
    write.series(tmp_path, slices(3, 2, SeriesInstanceUID="1.2.3", SeriesNumber=7))
    enhanced, other = read_tree(tmp_path).series
    assert (enhanced.path, enhanced.frames) == (path, 5)
    assert str(other.path) == f"{tmp_path}?series=7"
    np.testing.assert_array_equal(read_dicom(path).array, array_of(of))


def test_a_series_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    folder = write.series(tmp_path / "scan", slices(3, SeriesNumber=3, SeriesDescription="t1_sag"))
    with pytest.raises(ImageError, match=r"scan: no slice has series=9; there are series 3 \(t1_sag\)"):
        read_dicom(Path(f"{folder}?series=9"))
    with pytest.raises(ImageError, match=r"'ecko' cannot be chosen"):
        read_image(Path(f"{folder}?ecko=9"))


def test_a_survey_beside_a_volume_is_not_met_by_its_path(tmp_path: Path) -> None:
    """A localiser that says so in its description alone lies in the volume's folder, which then holds two series."""
    for number, description in ((1, "Survey"), (2, "t1_sag")):
        of = slices(3, number, SeriesNumber=number, SeriesInstanceUID=f"1.2.{number}", SeriesDescription=description)
        for i, one in enumerate(of):
            write.single(tmp_path / "scan" / f"{number}_{i}", one)
    (found,) = read_tree(tmp_path).series
    assert found.about.description == "t1_sag"
    np.testing.assert_array_equal(read_image(found.path).array[0], array_of(slices(3, 2)))
