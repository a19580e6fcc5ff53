"""`.seg.nrrd`: the header by hand, the voxels by SimpleITK and pynrrd, and back through autoseg's own reader."""

import gzip
import re
from ast import literal_eval
from pathlib import Path

import nrrd
import numpy as np
import pytest
import SimpleITK as sitk

from autoseg.image.geometry import Geometry
from autoseg.image.image import read_geometry
from autoseg.image.label_file import read_labels
from autoseg.image.labels import LabelRegion, Labels
from autoseg.image.writing.codes import code_table
from autoseg.image.writing.seg_nrrd import write_seg_nrrd
from autoseg.image.writing.segments import NamedSegment, segments_of

LABELS = Labels(values=(0, 5, 700), names=("background", "liver", "odd"))
# oblique: rotated by 0.3 about z
OBLIQUE = Geometry(
    (3, 4, 5),
    (2.5, 0.7, 0.8),
    (-11.25, 7.5, 20.0),
    ((0.0, 0.0, -1.0), (-np.sin(0.3), np.cos(0.3), 0.0), (np.cos(0.3), np.sin(0.3), 0.0)),
)
CLASSES = np.random.default_rng(0).integers(0, 3, OBLIQUE.shape).astype(np.uint8)
REGIONS = Labels(
    values=(0, 1, 2),
    names=("background", "label 1", "core"),
    regions=(LabelRegion(name="whole", values=(1, 2), value=1), LabelRegion(name="core", values=(2,), value=2)),
)


def written(path: Path, labels: Labels) -> tuple[NamedSegment, ...]:
    segments = segments_of(labels, code_table())
    write_seg_nrrd(path, CLASSES, OBLIQUE, labels, segments)
    return segments


def by_hand(path: Path) -> tuple[dict[str, str], dict[str, str], bytes]:
    """Fields, keys and voxels of a file, by the NRRD format's own words."""
    header, content = path.read_bytes().split(b"\n\n", 1)
    first, *lines = header.decode().split("\n")
    assert first == "NRRD0004"
    pairs = [re.split(r":=|: ", line, maxsplit=1) for line in lines]
    fields = {key: value for (key, value), line in zip(pairs, lines, strict=True) if f"{key}: " in line}
    keys = {key: value for (key, value), line in zip(pairs, lines, strict=True) if line.startswith(f"{key}:=")}
    return fields, keys, gzip.decompress(content)


def test_header_and_voxels_by_hand(tmp_path: Path) -> None:
    segments = written(tmp_path / "a.seg.nrrd", LABELS)
    fields, keys, content = by_hand(tmp_path / "a.seg.nrrd")
    assert fields["sizes"] == "5 4 3" and fields["type"] == "unsigned short" and fields["encoding"] == "gzip"
    assert fields["space"] == "left-posterior-superior" and fields["kinds"] == "domain domain domain"
    steps = np.array([literal_eval(vector) for vector in fields["space directions"].split()])
    np.testing.assert_allclose(steps, OBLIQUE.axes()[::-1])
    np.testing.assert_allclose(literal_eval(fields["space origin"]), OBLIQUE.origin)
    np.testing.assert_array_equal(np.frombuffer(content, "<u2").reshape(3, 4, 5), np.array([0, 5, 700])[CLASSES])
    for i, (segment, value) in enumerate(zip(segments, ("5", "700"), strict=True)):
        assert keys[f"Segment{i}_Name"] == segment.name and keys[f"Segment{i}_LabelValue"] == value
        colour = [round(255 * float(part)) for part in keys[f"Segment{i}_Color"].split()]
        assert tuple(colour) == segment.colour and keys[f"Segment{i}_Layer"] == "0"
        assert keys[f"Segment{i}_Extent"] == "0 4 0 3 0 2"
    assert "~SCT^10200004^Liver~" in keys["Segment0_Tags"] and "~SCT^85756007^Tissue~" in keys["Segment1_Tags"]
    assert keys["Segmentation_MasterRepresentation"] == keys["Segmentation_SourceRepresentation"] == "Binary labelmap"


def test_other_readers_see_the_same_voxels_at_the_same_place(tmp_path: Path) -> None:
    path = tmp_path / "a.seg.nrrd"
    written(path, LABELS)
    expected = np.array([0, 5, 700])[CLASSES]
    image = sitk.ReadImage(str(path))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), expected)
    np.testing.assert_allclose(image.GetOrigin(), OBLIQUE.origin)
    np.testing.assert_allclose(image.TransformIndexToPhysicalPoint((1, 2, 1)), OBLIQUE.to_world(np.array([1, 2, 1])))
    array, header = nrrd.read(str(path))
    np.testing.assert_array_equal(array.T, expected)
    assert header["Segment0_Name"] == "liver"
    # and back: the same voxels, by the same names
    back = read_labels(path, LABELS)
    np.testing.assert_array_equal(back.array[0], expected)
    assert OBLIQUE.largest_offset(read_geometry(path)[0]) < 1e-9


def test_regions_overlap_each_in_its_own_layer(tmp_path: Path) -> None:
    segments = written(tmp_path / "a.seg.nrrd", REGIONS)
    fields, keys, content = by_hand(tmp_path / "a.seg.nrrd")
    assert fields["sizes"] == "2 5 4 3" and fields["kinds"] == "list domain domain domain"
    assert fields["space directions"].startswith("none (") and fields["dimension"] == "4"
    layers = np.frombuffer(content, np.uint8).reshape(3, 4, 5, 2)
    np.testing.assert_array_equal(layers[..., 0], CLASSES > 0)
    np.testing.assert_array_equal(layers[..., 1], CLASSES == 2)
    assert [keys[f"Segment{i}_{key}"] for i in (0, 1) for key in ("Name", "LabelValue", "Layer")] == [
        *("whole", "1", "0"),
        *("core", "1", "1"),
    ]
    assert segments[0].value == 1 and segments[1].value == 2
    array = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a.seg.nrrd")))
    np.testing.assert_array_equal(array, layers)


@pytest.mark.parametrize("name", ["a\\nb", 'q"|~^\\', "Kniegelenk łąka 膝", "a\n b\tc", ":= x", "# no comment"])
def test_hostile_names_come_back(tmp_path: Path, name: str) -> None:
    labels = Labels(values=(0, 1, 2), names=("background", name, "other"))
    written(tmp_path / "a.seg.nrrd", labels)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.seg.nrrd", labels).array[0], CLASSES)
    image = sitk.ReadImage(str(tmp_path / "a.seg.nrrd"))
    assert image.GetMetaData("Segment0_Name") == " ".join(name.split())
    assert image.GetMetaData("Segment1_Name") == "other"


def test_control_characters_in_names_are_shown_as_signs(tmp_path: Path) -> None:
    labels = Labels(values=(0, 1, 2), names=("background", "a\x00b\x1b[31m", "other"))
    written(tmp_path / "a.seg.nrrd", labels)
    assert sitk.ReadImage(str(tmp_path / "a.seg.nrrd")).GetMetaData("Segment0_Name") == "a␀b␛[31m"


def test_the_same_prediction_gives_the_same_bytes(tmp_path: Path) -> None:
    written(tmp_path / "a.seg.nrrd", LABELS)
    written(tmp_path / "b.seg.nrrd", LABELS)
    assert (tmp_path / "a.seg.nrrd").read_bytes() == (tmp_path / "b.seg.nrrd").read_bytes()
