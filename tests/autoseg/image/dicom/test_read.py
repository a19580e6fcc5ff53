"""The reader beside pydicom's values and the standard's places, over random series and multi-frame files."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from autoseg.errors import ImageError
from autoseg.image.dicom.choice import Choice
from autoseg.image.dicom.read import DicomVolume, read_dicom, read_dicom_geometry
from tests.autoseg.image.dicom import write

AXES = [tuple(float(sign) * n for n in row) for sign in (1, -1) for row in np.eye(3)]
# all pairs of different axes: with those whose third axis is mirrored
ORIENTATIONS = [(*row, *column) for row in AXES for column in AXES if not np.any(np.multiply(row, column))]
KINDS = (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32)


def oblique(numbers: tuple[float, float, float]) -> tuple[float, ...]:
    """Cosines of a turned slice, as a file has them, with ten digits."""
    matrix = Rotation.from_rotvec(numbers).as_matrix()
    return tuple(float(f"{n:.10f}") for n in (*matrix[0], *matrix[1]))


orientations = st.sampled_from(ORIENTATIONS) | st.tuples(*[st.floats(-3, 3)] * 3).map(oblique)
scales = st.sampled_from([(1.0, 0.0), (1.0, -1024.0), (2.0, 3.0), (0.001, 0.0), (0.37, -5.5), (4.0, 0.25)])


@st.composite
def stacks(draw: st.DrawFn) -> list[write.Slice]:
    shape = draw(st.tuples(st.integers(2, 5), st.integers(1, 4), st.integers(1, 5)))
    kind = draw(st.sampled_from(KINDS))
    info = np.iinfo(kind)
    voxels = np.random.default_rng(draw(st.integers(0, 2**32 - 1))).integers(
        info.min, info.max, shape, kind, endpoint=True
    )
    spacing = draw(st.tuples(st.floats(0.1, 3), st.floats(0.1, 3)))
    slices = write.stack(voxels, draw(orientations), draw(st.floats(0.3, 6)), spacing=spacing)
    by_slice = draw(st.none() | st.lists(scales, min_size=len(slices), max_size=len(slices)))
    if by_slice is None:
        return slices
    return [write.replace(one, scale=scale) for one, scale in zip(slices, by_slice, strict=True)]


def require_same(volume: DicomVolume, path: Path) -> None:
    """Every voxel of every frame lies where the standard says, with pydicom's value, and there are no others."""
    found = 0
    for values, places in write.values_and_places(path):
        index = volume.geometry.to_index(places)
        nearest = np.rint(index).astype(int)
        assert np.abs(index - nearest).max() < 1e-4
        at = volume.array[tuple(np.moveaxis(nearest, -1, 0))]
        if volume.array.dtype.kind in "iu":
            np.testing.assert_array_equal(at, values)
        else:
            np.testing.assert_array_equal(at, values.astype(volume.array.dtype))
        found += values.size
    assert found == volume.array.size


@settings(max_examples=60, deadline=None)
@given(slices=stacks(), data=st.data())
def test_series_of_single_frames(slices: list[write.Slice], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(slices))))
    with tempfile.TemporaryDirectory() as name:
        folder = write.series(Path(name), slices, order)
        volume = read_dicom(folder)
        require_same(volume, folder)
        assert read_dicom_geometry(folder) == volume.geometry and volume.left_out == ""
        np.testing.assert_array_equal(read_dicom(folder, dtype=np.float32).array, volume.array.astype(np.float32))


@settings(max_examples=60, deadline=None)
@given(slices=stacks(), data=st.data())
def test_one_file_of_many_frames(slices: list[write.Slice], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(slices))))
    shared = data.draw(st.sets(st.sampled_from(["orientation", "spacing"])))
    one_scale = len({one.scale for one in slices}) == 1 and data.draw(st.booleans())
    with tempfile.TemporaryDirectory() as name:
        path = write.multi_frame(
            Path(name) / "enhanced.dcm", [slices[z] for z in order], sorted(shared), scale_shared=one_scale
        )
        require_same(read_dicom(path), path)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_every_orientation_is_right_to_the_slice(tmp_path: Path, orientation: tuple[float, ...]) -> None:
    voxels = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    folder = write.series(tmp_path, write.stack(voxels, orientation), [1, 0])
    volume = read_dicom(folder)
    assert np.linalg.det(np.asarray(volume.geometry.direction)[::-1]) == pytest.approx(1)
    require_same(volume, folder)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_copies_of_each_place_are_chosen_by_what_they_differ_in(data: st.DataObject) -> None:
    """Echoes, types and times of one series, in any order of files: refused as a whole, each read when chosen."""
    echoes = data.draw(st.sampled_from([[2.5], [2.5, 4.92]]))
    types = data.draw(st.sampled_from([["M"], ["M", "P"]]))
    times = data.draw(st.sampled_from([[1], [1, 2, 3]]))
    all_of = [(echo, kind, time) for echo in echoes for kind in types for time in times]
    many = data.draw(st.booleans())
    rng = np.random.default_rng(0)
    arrays = {one: rng.integers(0, 999, (3, 2, 2)).astype(np.int16) for one in all_of}
    slices = []
    for (echo, kind, time), array in arrays.items():
        given_elements = {"EchoTime": echo, "TemporalPositionIndex" if many else "TemporalPositionIdentifier": time}
        given_elements |= {"FrameType" if many else "ImageType": ["ORIGINAL", "PRIMARY", kind, "ND"]}
        slices += [one.with_elements(**given_elements) for one in write.stack(array)]
    order = data.draw(st.permutations(range(len(slices))))
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        if many:
            path = write.multi_frame(path / "many.dcm", [slices[z] for z in order])
        else:
            write.series(path, slices, order)
        if len(all_of) > 1:
            with pytest.raises(ImageError, match=f"holds {len(all_of)} volumes, since each of its 3 places") as error:
                read_dicom(path)
            told = str(error.value)
            assert ("echo time in ms 4.92" in told) == (len(echoes) > 1)
            assert ("image type P" in told) == (len(types) > 1) and ("by temporal position" in told) == (len(times) > 1)
            # the way out that the message names is one
            (cure,) = re.findall(r"such as the last: '([^']+)'", told)
            assert any(np.array_equal(read_dicom(Path(cure)).array, array) for array in arrays.values())
        for (echo, kind, time), array in arrays.items():
            chosen = Choice(echo=echo, image_type=kind, time=time if len(times) > 1 else None)
            np.testing.assert_array_equal(read_dicom(path, chosen).array, array)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_slice_that_is_missing_is_told(data: st.DataObject) -> None:
    count = data.draw(st.integers(4, 9))
    gone = data.draw(st.integers(1, count - 2))
    slices = write.stack(np.zeros((count, 2, 3), np.int16), data.draw(orientations))
    with tempfile.TemporaryDirectory() as name:
        folder = write.series(Path(name), [one for z, one in enumerate(slices) if z != gone])
        with pytest.raises(ImageError, match=f"one slice is missing after slice {gone} of {count - 1} "):
            read_dicom(folder)
