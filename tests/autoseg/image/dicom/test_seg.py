"""DICOM segmentations as label maps, written by highdicom and element by element."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000, RLELossless

from autoseg.dataset.lattice import padded_onto
from autoseg.errors import ImageError
from autoseg.image.dicom.seg import INSTALL
from autoseg.image.image import read_geometry, read_image
from autoseg.image.label_file import names_classes, read_labels
from autoseg.image.labels import Labels
from tests.autoseg.image.dicom import write, write_seg

LABELS = Labels(values=(0, 5, 700), names=("background", "liver", "tumour"))
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
SLICES = write.stack(np.random.default_rng(0).integers(0, 99, (6, 7, 9)).astype(np.int16), SAGITTAL)
NUMBERS = np.zeros((6, 7, 9), np.uint8)
NUMBERS[1, 2:5, 3:6], NUMBERS[4, :2, 5:], NUMBERS[2, 1:3, :4] = 1, 1, 3
MASKS = np.stack([i == NUMBERS for i in (1, 2, 3)], axis=-1).astype(np.uint8)
NAMES = ("liver", "nothing", "tumour")


@pytest.fixture
def series(tmp_path: Path) -> Path:
    return write_seg.source(tmp_path / "series", SLICES)


def on_series(path: Path, series: Path) -> np.ndarray:
    """The label map on the grid of the series, its slices in the order of `SLICES`."""
    geometry, _ = read_geometry(series)
    placed, _ = padded_onto(read_labels(path, LABELS, geometry), geometry)
    assert geometry.origin == SLICES[0].position
    return placed.array[0]


def hand_frames(*wanted: tuple[int, int, int], step: int = 1) -> list[tuple[write.Slice, int]]:
    """Frames of slice z with the voxels of a number as segment n, for each (z, number, n)."""
    return [(replace(SLICES[z * step], voxels=NUMBERS[z] == number), n) for z, number, n in wanted]


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_a_segmentation_of_highdicom_has_its_voxels_and_names(tmp_path: Path, series: Path, kind: str) -> None:
    path = write_seg.by_highdicom(tmp_path / "a.dcm", series, MASKS, NAMES, kind)
    assert names_classes(path) and not names_classes(series)
    np.testing.assert_array_equal(on_series(path, series), np.array([0, 5, 0, 700])[NUMBERS])
    # frames without voxels are not in the file, so that its own grid is smaller
    assert read_labels(path, LABELS).geometry.shape == (4, 7, 9)


def test_compressed_frames_are_read_or_refused_by_name(tmp_path: Path, series: Path) -> None:
    path = write_seg.by_highdicom(tmp_path / "a.dcm", series, MASKS, NAMES, "LABELMAP", transfer_syntax_uid=RLELossless)
    np.testing.assert_array_equal(on_series(path, series), np.array([0, 5, 0, 700])[NUMBERS])
    dataset = dcmread(path)
    dataset.file_meta.TransferSyntaxUID = JPEG2000
    dataset.save_as(path)
    with pytest.raises(ImageError, match=r"a\.dcm: .*not read \(JPEG 2000 Image Compression\); decompress it"):
        read_labels(path, LABELS)


@pytest.mark.parametrize("spacing", [{}, {"SpacingBetweenSlices": 3.0}], ids=["not stated", "stated"])
def test_missing_frames_are_background_by_the_slices_of_the_image(tmp_path: Path, series: Path, spacing: dict) -> None:
    frames = hand_frames((4, 1, 1), (1, 1, 1))
    path = write_seg.by_hand(tmp_path / "a.dcm", frames, ["liver"], **spacing)
    np.testing.assert_array_equal(on_series(path, series), 5 * (NUMBERS == 1))
    one = write_seg.by_hand(tmp_path / "b.dcm", hand_frames((2, 3, 1)), ["tumour"], **spacing)
    np.testing.assert_array_equal(on_series(one, series), 700 * (NUMBERS == 3))


def test_overlapping_segments_are_named(tmp_path: Path) -> None:
    path = write_seg.by_hand(tmp_path / "a.dcm", hand_frames((1, 1, 1), (1, 1, 2)), ["liver", "tumour"])
    with pytest.raises(ImageError, match=r"a\.dcm: segments overlap.* 'liver' and 'tumour' in 9 voxels"):
        read_labels(path, LABELS)
    same = write_seg.by_hand(tmp_path / "b.dcm", hand_frames((1, 1, 1), (1, 1, 2)), ["liver", "Liver"])
    assert np.count_nonzero(read_labels(same, LABELS).array == 5) == 9


def test_another_lattice_than_the_images_is_refused_with_how_far_it_is(tmp_path: Path, series: Path) -> None:
    x, y, z = SLICES[1].position
    aside = [(replace(one, position=(x, y + 0.1, z)), n) for one, n in hand_frames((1, 1, 1))]
    with pytest.raises(ImageError, match=r"its voxels lie up to 0\.133 voxels beside the image's"):
        on_series(write_seg.by_hand(tmp_path / "a.dcm", aside, ["liver"]), series)
    between = [
        (replace(one, position=(x - 1.5 * i, y, z)), n) for i, (one, n) in enumerate(hand_frames(*[(1, 1, 1)] * 2))
    ]
    with pytest.raises(ImageError, match=r"voxels of 0\.5 × 0\.75 × 1\.5 against 0\.5 × 0\.75 × 3 mm"):
        on_series(write_seg.by_hand(tmp_path / "b.dcm", between, ["liver"]), series)


def test_a_folder_is_its_one_segmentation(tmp_path: Path, series: Path) -> None:
    path = write_seg.by_highdicom(series / "z.dcm", series, MASKS, NAMES)
    label = read_labels(series, LABELS)
    assert label.left_out == f"{series}: read of it z.dcm, and none of 6 other files"
    np.testing.assert_array_equal(label.array, read_labels(path, LABELS).array)
    # as an image, the slices are read and the segmentation is not
    image = read_image(series)
    assert (
        image.array.shape == (1, 6, 7, 9) and "z.dcm is a segmentation (DICOM SEG), which is read as" in image.left_out
    )
    write_seg.by_hand(series / "y.dcm", hand_frames((1, 1, 1)), ["liver"])
    with pytest.raises(ImageError, match=r"holds 2 segmentations \(DICOM SEG\), such as y\.dcm and z\.dcm; give"):
        read_labels(series, LABELS)


def test_a_missing_library_is_told_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_seg.by_hand(tmp_path / "a.dcm", hand_frames((1, 1, 1)), ["liver"])
    monkeypatch.setitem(sys.modules, "highdicom.seg", None)
    with pytest.raises(ImageError, match="takes the library highdicom to read: pip install ") as error:
        read_labels(path, LABELS)
    assert INSTALL in str(error.value)


def placed(*position: float) -> Callable[[Dataset], None]:
    """Gives the second frame another position."""

    def spoil(dataset: Dataset) -> None:
        frame = dataset.PerFrameFunctionalGroupsSequence[1]
        frame.PlanePositionSequence[0].ImagePositionPatient = list(position)

    return spoil


DAMAGE: dict[str, tuple[Callable[[Dataset], object], str]] = {
    "fractions": (lambda d: setattr(d, "SegmentationType", "FRACTIONAL"), "a segmentation of fractions .*as BINARY"),
    "another kind": (lambda d: setattr(d, "SegmentationType", "SURFACE"), "its Segmentation Type is 'SURFACE'"),
    "frames not held": (lambda d: setattr(d, "NumberOfFrames", 9000), "truncated, holds .* bytes"),
    "fewer frames than described": (lambda d: setattr(d, "NumberOfFrames", 1), "declares 1 frames and describes 2"),
    "bits": (lambda d: setattr(d, "BitsAllocated", 12), "its voxels have 12 bits"),
    "no voxels": (lambda d: delattr(d, "PixelData"), "a segmentation without any voxel"),
    "no segments": (lambda d: delattr(d, "SegmentSequence"), "highdicom cannot read it as a segmentation"),
    "far apart": (placed(SLICES[1].position[0] - 3e6, *SLICES[1].position[1:]), "span 1000001 slices"),
    "oblique to each other": (placed(1, 2, 3), "frames that are not parallel and evenly spaced"),
    "two numbers as a position": (placed(1, 2), "highdicom cannot read it as a segmentation"),
}


@pytest.mark.parametrize(("spoil", "told"), DAMAGE.values(), ids=DAMAGE)
def test_damage_is_refused_with_its_cause(tmp_path: Path, spoil: Callable[[Dataset], object], told: str) -> None:
    path = write_seg.by_hand(tmp_path / "a.dcm", hand_frames((1, 1, 1), (4, 1, 1)), ["liver"], SpacingBetweenSlices=3.0)
    dataset = dcmread(path)
    spoil(dataset)
    dataset.save_as(path)
    with pytest.raises(ImageError, match=rf"a\.dcm: .*{told}"):
        read_labels(path, LABELS)
