"""Frames that make no volume, or several: each is told by what it is, and one is read where that is clear."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from autoseg.errors import ImageError
from autoseg.image.dicom.choice import Choice
from autoseg.image.dicom.read import read_dicom
from tests.autoseg.image.dicom import write

SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
TURNED_IN_PLANE = (0.0, 1.0, 0.0, -1.0, 0.0, 0.0)


def voxels(count: int, seed: int = 0, rows: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(-500, 500, (count, rows, 4)).astype(np.int16)


def refused(path: Path, match: str) -> str:
    with pytest.raises(ImageError, match=match) as error:
        read_dicom(path)
    assert str(path) in str(error.value)
    return str(error.value)


def test_magnitude_and_field_map_in_one_file_out_of_order(tmp_path: Path) -> None:
    magnitude, field_map = voxels(8, 1), voxels(8, 2)
    slices = [
        one.with_elements(FrameType=["ORIGINAL", "PRIMARY", "M", "NONE"])
        for one in write.stack(magnitude, scale=(2.0, 0.0))
    ]
    slices += [
        one.with_elements(FrameType=["DERIVED", "PRIMARY", "FIELD MAP", "NONE"])
        for one in write.stack(field_map, scale=(0.5, -100.0))
    ]
    order = np.random.default_rng(0).permutation(len(slices))
    path = write.multi_frame(tmp_path / "enhanced.dcm", [slices[i] for i in order])
    told = refused(path, "holds 2 volumes, since each of its 8 places occurs 2 times")
    assert "image type ORIGINAL, " in told and "image type DERIVED, " in told
    assert "dcm2niix" in told and f"such as the last: '{path}?image_type=DERIVED'" in told
    np.testing.assert_array_equal(read_dicom(path, Choice(image_type="m")).array, 2 * magnitude.astype(int))
    np.testing.assert_array_equal(read_dicom(path, Choice(image_type="FIELD MAP")).array, 0.5 * field_map - 100)
    with pytest.raises(ImageError, match=r"no slice has image_type=PHASE; they have image type [A-Z]+.PRIMARY."):
        read_dicom(path, Choice(image_type="PHASE"))


def test_frames_that_are_missing_or_tilted(tmp_path: Path) -> None:
    slices = write.stack(voxels(9))
    refused(
        write.multi_frame(tmp_path / "gap.dcm", slices[:4] + slices[6:]), r"2 slices are missing after slice 4 of 7"
    )
    tilted = [
        replace(one, position=(one.position[0], one.position[1] + 0.4 * z, one.position[2]))
        for z, one in enumerate(slices)
    ]
    refused(write.multi_frame(tmp_path / "tilt.dcm", tilted), r"shifted against each other by 3\.2 mm in all.*gantry")
    uneven = [replace(one, position=(*one.position[:2], one.position[2] * 1.05**z)) for z, one in enumerate(slices)]
    refused(write.multi_frame(tmp_path / "uneven.dcm", uneven), "not evenly spaced.*Resample Scalar Volume")


def test_several_stacks_in_one_file(tmp_path: Path) -> None:
    first, second = voxels(4, 1), voxels(4, 2)
    lower = [one.with_elements(StackID="1") for one in write.stack(first)]
    upper = [
        replace(one, position=(*one.position[:2], one.position[2] + 100)).with_elements(StackID="2")
        for one in write.stack(second)
    ]
    path = write.multi_frame(tmp_path / "stacks.dcm", lower + upper)
    assert "stack 2" in refused(path, "holds 2 volumes")
    np.testing.assert_array_equal(read_dicom(path, Choice(stack="2")).array, second)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"orientation": SAGITTAL}, "another orientation than"),
        ({"orientation": TURNED_IN_PLANE}, "another orientation than"),
        ({"spacing": (0.5, 1.0)}, "another pixel spacing than"),
        ({"voxels": voxels(1, 3, rows=5)[0]}, "another size than"),
    ],
)
def test_one_slice_that_disagrees(tmp_path: Path, change: dict[str, object], told: str) -> None:
    array = voxels(10)
    slices = write.stack(array)
    last = [*slices[:9], replace(slices[9], **change)]  # type: ignore[arg-type]
    volume = read_dicom(write.series(tmp_path / "last", last))
    np.testing.assert_array_equal(volume.array, array[:9])
    assert f"f009.dcm: a single slice with {told} the others" in volume.left_out
    middle = [*slices[:4], replace(slices[4], **change), *slices[5:]]  # type: ignore[arg-type]
    text = refused(write.series(tmp_path / "middle", middle), r"one slice is missing after slice 4 of 9")
    assert f"f004.dcm: a single slice with {told} the others" in text


def test_crossed_scouts_and_angled_blocks(tmp_path: Path) -> None:
    scouts = [write.stack(voxels(1), write.AXIAL)[0], write.stack(voxels(1), SAGITTAL)[0]]
    refused(write.series(tmp_path / "scouts", scouts), "holds 2 single slices at angles to each other")
    blocks = []
    for z, angle in enumerate((0.0, 0.2, 0.4)):
        tilted = (1.0, 0.0, 0.0, 0.0, np.cos(angle), np.sin(angle))
        blocks += [
            replace(one, position=(*one.position[:2], one.position[2] + 40 * z))
            for one in write.stack(voxels(4), tilted)
        ]
    told = refused(write.series(tmp_path / "blocks", blocks), "holds 3 blocks of slices at angles to each other")
    assert "Give the files of each a folder of its own" in told


def test_two_parallel_slices_among_many_others_are_no_volume(tmp_path: Path) -> None:
    radial = []
    for angle in np.linspace(0.0, 1.5, 11):
        turned = (float(np.cos(angle)), float(np.sin(angle)), 0.0, 0.0, 0.0, 1.0)
        radial += write.stack(voxels(2 if angle == 0 else 1), turned)
    told = refused(write.series(tmp_path, radial), "holds 11 blocks of slices at angles to each other")
    assert "Give the files of each a folder of its own" in told


def test_a_mosaic_that_was_not_chosen_is_no_obstacle(tmp_path: Path) -> None:
    array = voxels(3)
    mosaic = {"ImageType": ["ORIGINAL", "PRIMARY", "MOSAIC"], "SeriesInstanceUID": "1.2.3", "SeriesNumber": "3"}
    chosen = [one.with_elements(SeriesNumber="7") for one in write.stack(array)]
    other = [one.with_elements(**mosaic) for one in write.stack(voxels(2))]
    folder = write.series(tmp_path, [*chosen, *other])
    np.testing.assert_array_equal(read_dicom(folder, Choice(series="7")).array, array)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 0, 1)])
def test_the_order_of_files_decides_nothing(tmp_path: Path, order: tuple[int, ...]) -> None:
    array = voxels(3)
    slices = write.stack(array)
    tilts = (0.0, 4e-4, 8e-4)
    slices = [
        replace(one, orientation=(1.0, tilt, 0.0, -tilt, 1.0, 0.0)) for one, tilt in zip(slices, tilts, strict=True)
    ]
    first = read_dicom(write.series(tmp_path / "first", slices)).array
    again = read_dicom(write.series(tmp_path / "again", slices, order=order)).array
    np.testing.assert_array_equal(first, again)


def test_a_localiser_beside_a_series_is_left_out(tmp_path: Path) -> None:
    array = voxels(5)
    localiser = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"], "SeriesInstanceUID": "1.2.3"}
    scouts = [one.with_elements(**localiser) for one in write.stack(voxels(3), SAGITTAL)]
    volume = read_dicom(write.series(tmp_path, [*write.stack(array), *scouts]))
    np.testing.assert_array_equal(volume.array, array)
    assert "f005.dcm to f007.dcm (3 slices): a localiser" in volume.left_out


def test_two_series(tmp_path: Path) -> None:
    first, second = voxels(4, 1), voxels(5, 2)
    other = {"SeriesInstanceUID": "1.2.3", "SeriesNumber": 7, "SeriesDescription": "t2_tse_sag"}
    slices = write.stack(first) + [one.with_elements(**other) for one in write.stack(second)]
    folder = write.series(tmp_path, slices)
    assert "series 7 (t2_tse_sag), 4 × 3 × 5 voxels" in refused(folder, "holds 2 DICOM series")
    for choice in ("7", "t2_tse_sag", "1.2.3"):
        np.testing.assert_array_equal(read_dicom(folder, Choice(series=choice)).array, second)


def test_cine_at_one_place(tmp_path: Path) -> None:
    array = voxels(10)
    place = write.stack(array)[0].position
    slices = [
        replace(one, position=place).with_elements(TriggerTime=str(40 * t)) for t, one in enumerate(write.stack(array))
    ]
    folder = write.series(tmp_path, slices)
    assert "times 1 to 10 by trigger time" in refused(folder, "since its one place occurs 10 times")
    chosen = read_dicom(folder, Choice(time=4))
    np.testing.assert_array_equal(chosen.array, array[3:4])
    assert chosen.geometry.spacing == (3.0, 0.5, 0.75)


def test_two_slices_at_one_place(tmp_path: Path) -> None:
    one = write.stack(voxels(1))[0].with_elements(SOPInstanceUID="1.2.3", InstanceNumber=1)
    folder = write.series(tmp_path, [one, one])
    refused(folder, r"f000\.dcm and f001\.dcm are the same slice twice")


def test_a_slice_that_was_acquired_again(tmp_path: Path) -> None:
    slices = write.stack(voxels(6))
    again = replace(slices[2], voxels=voxels(1, 9)[0]).with_elements(AcquisitionNumber=2)
    folder = write.series(tmp_path, [*(one.with_elements(AcquisitionNumber=1) for one in slices), again])
    refused(
        folder, r"1 of 6 places occur more than once, such as in f002\.dcm and f006\.dcm; they differ in acquisition"
    )


def test_a_mosaic(tmp_path: Path) -> None:
    mosaic = {"ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]}
    folder = write.series(tmp_path, [one.with_elements(**mosaic) for one in write.stack(voxels(2))])
    refused(folder, r"f000\.dcm is a mosaic.*dcm2niix")


def test_what_changes_from_slice_to_slice_splits_no_volume(tmp_path: Path) -> None:
    array = voxels(5)
    slices = [
        one.with_elements(
            EchoTime=str(80 + z), AcquisitionTime=f"1200{z:02d}", ImageType=["DERIVED", "PRIMARY", str(z)]
        )
        for z, one in enumerate(write.stack(array))
    ]
    np.testing.assert_array_equal(read_dicom(write.series(tmp_path, slices)).array, array)


@pytest.mark.parametrize(
    ("elements", "way"),
    [({"EchoTime": "5"}, "echo=80"), ({"ImageType": ["DERIVED", "PRIMARY"]}, "image_type=ORIGINAL")],
)
def test_volumes_half_a_slice_apart_are_not_one_of_twice_as_many_slices(
    tmp_path: Path, elements: dict[str, object], way: str
) -> None:
    """Two contrasts whose slices alternate are even by their places; nothing else would tell."""
    array, usual = voxels(8), {"EchoTime": "80", "ImageType": ["ORIGINAL", "PRIMARY"]}
    slices = [
        one.with_elements(**(usual | (elements if z % 2 == 0 else {}))) for z, one in enumerate(write.stack(array))
    ]
    folder = write.series(tmp_path / "scan", slices)
    assert way in refused(folder, "holds 2 volumes: ")
    image = read_dicom(folder.with_name(f"scan?{way}"))
    np.testing.assert_array_equal(image.array, array[1::2])
    assert image.geometry.spacing[0] == 6.0


def test_stations_of_one_scan_that_follow_each_other_are_one_volume(tmp_path: Path) -> None:
    array = voxels(8)
    slices = [one.with_elements(EchoTime="5" if z < 4 else "80") for z, one in enumerate(write.stack(array))]
    np.testing.assert_array_equal(read_dicom(write.series(tmp_path, slices)).array, array)


def test_directions_that_were_rounded_differently(tmp_path: Path) -> None:
    array = voxels(5)
    slices = [
        replace(one, orientation=(1.0, 1e-4 * (z % 2), 0.0, -1e-4 * (z % 2), 1.0, 0.0))
        for z, one in enumerate(write.stack(array))
    ]
    np.testing.assert_array_equal(read_dicom(write.series(tmp_path, slices)).array, array)


UNLIKE = {
    "photometric interpretation": {"PhotometricInterpretation": "MONOCHROME1"},
    "kind of values": {"RescaleSlope": "1", "RescaleIntercept": "-1024"},
    "patient": {"PatientID": "another"},
}


def of_one_patient(count: int) -> list[write.Slice]:
    return [one.with_elements(PatientID="one") for one in write.stack(voxels(count))]


@pytest.mark.parametrize("what", UNLIKE)
def test_a_slice_whose_values_mean_something_else_is_not_of_the_volume(tmp_path: Path, what: str) -> None:
    """The last one of six slices is left out, and told; in the middle it leaves a gap."""
    slices = of_one_patient(6)
    slices[5] = slices[5].with_elements(**UNLIKE[what])
    folder = write.series(tmp_path / "scan", slices)
    image = read_dicom(folder)
    assert image.array.shape == (5, 3, 4)
    assert f"a single slice with another {what}" in image.left_out and "f005.dcm" in image.left_out
    slices[5], slices[2] = slices[0], slices[2].with_elements(**UNLIKE[what])
    refused(write.series(tmp_path / "gap", [*slices[:5], *of_one_patient(6)[5:]]), f"one slice is missing.*{what}")


@pytest.mark.parametrize("what", UNLIKE)
def test_halves_whose_values_mean_something_else_are_two_volumes(tmp_path: Path, what: str) -> None:
    slices = of_one_patient(6)
    mixed = [*slices[:3], *(one.with_elements(**UNLIKE[what]) for one in slices[3:])]
    told = refused(write.series(tmp_path / "scan", mixed), f"holds 2 volumes, which differ in {what}")
    # an identifier is not for the screen
    assert "another" not in told


@pytest.mark.parametrize("stated", [{"PatientID": "one"}, {"RescaleSlope": "1", "RescaleIntercept": "0"}], ids=str)
def test_what_some_slices_leave_out_is_no_difference(tmp_path: Path, stated: dict[str, str]) -> None:
    """A patient beside none in the same series, and a scale that changes nothing beside none: one volume."""
    array = voxels(6)
    slices = [one.with_elements(**stated) if i % 2 else one for i, one in enumerate(write.stack(array))]
    image = read_dicom(write.series(tmp_path, slices))
    assert image.left_out == ""
    np.testing.assert_array_equal(image.array, array)
