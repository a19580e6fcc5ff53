"""Label files that name their classes, written by other programs' libraries, as label maps of a data set."""

from pathlib import Path

import numpy as np
import pytest

from autoseg.dataset.lattice import padded_onto
from autoseg.errors import ImageError
from autoseg.image.image import read_image
from autoseg.image.label_file import names_classes, read_labels, read_segmentation
from autoseg.image.labels import LabelRegion, Labels
from tests.autoseg.image import named

GRID = named.grid()
LOWER, UPPER = (1, 2, 3), (6, 8, 8)
LABELS = Labels(values=(0, 7, 300, 5), names=("background", "liver", "tumour", "left kidney"))
SEGMENTS = (("tumour", 1, 0), ("liver", 1, 1), ("left kidney", 4, 1), ("nothing", 1, 2))


def three_layers() -> tuple[np.ndarray, np.ndarray]:
    """Layers (3, z, y, x) of the cropped grid, and the label map (z, y, x) of the whole image that they mean."""
    choice = np.random.default_rng(3).integers(0, 4, (5, 6, 5))
    layers = np.zeros((3, *choice.shape), np.uint8)
    layers[0][choice == 1] = 1
    layers[1][choice == 2] = 1
    layers[1][choice == 3] = 4
    whole = np.zeros(GRID.shape, np.int64)
    whole[1:6, 2:8, 3:8] = np.array([0, 300, 7, 5])[choice]
    return layers, whole


def test_three_layers_that_are_cropped_have_the_voxels_and_names_of_their_writer(tmp_path: Path) -> None:
    layers, whole = three_layers()
    path = named.slicer(tmp_path / "a.seg.nrrd", layers, named.cropped(GRID, LOWER, UPPER), SEGMENTS)
    found = read_segmentation(path)
    assert found is not None and names_classes(path)
    assert [(one.name, one.value, one.layer) for one in found.segments] == list(SEGMENTS)
    assert found.voxels() == tuple(int((layers[layer] == value).sum()) for _, value, layer in SEGMENTS)
    padded, off = padded_onto(read_labels(path, LABELS), GRID)
    assert padded.geometry == GRID and off < 1e-9
    np.testing.assert_array_equal(padded.array[0], whole)


def test_numbers_and_order_of_segments_do_not_matter_and_spelling_only_where_it_tells(tmp_path: Path) -> None:
    one, other = np.zeros((2, 2, 4, 5), np.uint8)
    one[0, :2], one[1] = [[1], [2]], [[2], [1], [0], [1]]
    other[one == 1], other[one == 2] = 200, 3
    geometry = named.grid(one.shape)
    first = named.slicer(tmp_path / "1.nrrd", one, geometry, [("liver", 1, 0), ("tumour", 2, 0)])
    # decomposed Unicode, blanks and capitals are one spelling
    second = named.slicer(tmp_path / "2.nrrd", other, geometry, [(" Tumour ", 3, 0), ("LIVER", 200, 0)])
    np.testing.assert_array_equal(read_labels(first, LABELS).array, read_labels(second, LABELS).array)
    assert read_labels(first, LABELS).array[0, 0, 0, 0] == 7
    both = Labels(values=(0, 1, 2), names=("background", "Liver", "liver"))
    with pytest.raises(ImageError, match=r"label not declared: segment 'Tumour' \(10 voxels\), 'LIVER' \(15 voxels\)"):
        read_labels(second, both)


def test_overlapping_segments_are_named_with_their_voxels_unless_they_are_of_one_class(tmp_path: Path) -> None:
    layers = np.zeros((2, *GRID.shape), np.uint8)
    layers[0, :3], layers[1, 2:4, :5] = 1, 1
    path = named.slicer(tmp_path / "a.seg.nrrd", layers, GRID, [("liver", 1, 0), ("tumour", 1, 1)])
    with pytest.raises(ImageError, match=r"a\.seg\.nrrd: segments overlap.* 'liver' and 'tumour' in 45 voxels\. Take"):
        read_labels(path, LABELS)
    same = named.slicer(tmp_path / "b.seg.nrrd", layers, GRID, [("liver", 1, 0), ("Liver", 1, 1)])
    np.testing.assert_array_equal(read_labels(same, LABELS).array[0], 7 * layers.any(axis=0))
    # where no class is declared by that name, the two names are still two classes
    with pytest.raises(ImageError, match=r"not declared: segment 'liver' \(216 voxels\), 'Liver' \(90 voxels\)"):
        read_labels(same, Labels(values=(0, 1), names=("background", "spleen")))


def test_a_segmentation_under_another_name_is_no_image(tmp_path: Path) -> None:
    layers, _ = three_layers()
    path = named.slicer(tmp_path / "t1.nrrd", layers, named.cropped(GRID, LOWER, UPPER), SEGMENTS)
    with pytest.raises(ImageError, match=r"t1\.nrrd: names segments, so it is a segmentation"):
        read_image(path)


def test_a_segment_called_background_is_background(tmp_path: Path) -> None:
    array = np.array([[[1, 2, 0]]], np.uint8)
    path = named.slicer(tmp_path / "a.nrrd", array, named.grid((1, 1, 3)), [("Background", 1, 0), ("liver", 2, 0)])
    assert read_labels(path, LABELS).array.tolist() == [[[[0, 7, 0]]]]


def test_segments_of_mitk_in_two_groups(tmp_path: Path) -> None:
    layers, whole = three_layers()
    groups = [[("tumour", 1)], [("liver", 1), ("left kidney", 4)], []]
    path = named.mitk(tmp_path / "a.nrrd", layers, named.cropped(GRID, LOWER, UPPER), groups)
    np.testing.assert_array_equal(padded_onto(read_labels(path, LABELS), GRID)[0].array[0], whole)


def test_channels_of_an_early_slicer_are_its_segments(tmp_path: Path) -> None:
    layers, whole = three_layers()
    channels = np.stack([layers[0] == 1, layers[1] == 1, layers[1] == 4]).astype(np.uint8)
    early = {f"Segment{i}_Name": name for i, name in enumerate(("tumour", "liver", "left kidney"))}
    path = named.nrrd_file(tmp_path / "a.seg.nrrd", channels, named.cropped(GRID, LOWER, UPPER), early)
    np.testing.assert_array_equal(padded_onto(read_labels(path, LABELS), GRID)[0].array[0], whole)
    two = named.nrrd_file(tmp_path / "b.seg.nrrd", channels[:2], GRID, early)
    with pytest.raises(ImageError, match="describes 3 segments without their values, and holds 2 channels; open it in"):
        read_labels(two, LABELS)


def test_a_plain_nrrd_keeps_its_values_and_an_empty_segmentation_is_background(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.int16).reshape(1, 2, 3)
    plain = named.nrrd_file(tmp_path / "a.seg.nrrd", array, named.grid((1, 2, 3)), {})
    assert not names_classes(plain) and read_labels(plain, LABELS).array[0].tolist() == array.tolist()
    empty = named.slicer(tmp_path / "b.seg.nrrd", 0 * array, named.grid((1, 2, 3)), [])
    assert names_classes(empty) and not read_labels(empty, LABELS).array.any()


DAMAGE = {
    "a value of no segment": ({"Segment0_LabelValue": "9"}, r"names no segment for the values 1 \(\d+ voxels\)"),
    "a value that is no number": ({"Segment0_LabelValue": "1e9"}, "has the value '1e9' in the layer '0'"),
    "a value of many digits": ({"Segment0_LabelValue": "1" * 5000}, "are no whole numbers"),
    "the value of the background": ({"Segment0_LabelValue": "0"}, "has the value 0, that of no segment"),
    "a layer that is not there": ({"Segment0_Layer": "3"}, "is in layer 4, and the file holds 1"),
    "one value twice": ({"Segment1_LabelValue": "1"}, "'liver' and 'tumour' have the same value 1"),
    "no name": ({"Segment0_Name": " ", "Segment0_ID": ""}, r"a segment \(value 1\) has no name"),
    "a fractional labelmap": ({"Segmentation_MasterRepresentation": "Fractional labelmap"}, "of fractions"),
    "a later name of it": ({"Segmentation_SourceRepresentation": "Fractional labelmap"}, "of fractions"),
    "MITK without groups": ({"modality": "org.mitk.image.multilabel"}, "of an earlier MITK, whose names are not read"),
    "MITK with damaged groups": ({"org.mitk.multilabel.segmentation.labelgroups": "[{]"}, "labels .* is damaged"),
    "MITK of deep groups": ({"org.mitk.multilabel.segmentation.labelgroups": "[" * 99_999}, "labels .* is damaged"),
    "MITK with text as value": (
        {"org.mitk.multilabel.segmentation.labelgroups": '[{"labels": [{"name": "a", "value": "1"}]}]'},
        "labels .* is damaged",
    ),
}


@pytest.mark.parametrize(("keys", "told"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_description_is_refused_with_its_cause(tmp_path: Path, keys: dict[str, str], told: str) -> None:
    array = np.ones((1, 2, 3), np.uint8)
    array[0, 1] = 2
    sound = named.slicer_keys([("liver", 1, 0), ("tumour", 2, 0)])
    path = named.nrrd_file(tmp_path / "a.seg.nrrd", array, named.grid(array.shape), sound | keys)
    with pytest.raises(ImageError, match=rf"a\.seg\.nrrd: .*{told}"):
        read_labels(path, LABELS)


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = named.slicer(tmp_path / "a.nrrd", np.ones((1, 2, 3), np.uint8), named.grid((1, 2, 3)), [("Laesion", 1, 0)])
    path.write_bytes(path.read_bytes().replace(b"Laesion", b"L\xe4esion"))
    with pytest.raises(ImageError, match=r"a\.nrrd: the name of a segment is not text in UTF-8"):
        read_labels(path, LABELS)


def test_a_surface_is_refused_with_the_way_to_a_label_map(tmp_path: Path) -> None:
    (tmp_path / "a.seg.vtm").write_text("<VTKFile/>", encoding="utf-8")
    with pytest.raises(ImageError, match=r"a\.seg\.vtm: is a surface.* save it as \.seg\.nrrd"):
        read_labels(tmp_path / "a.seg.vtm", LABELS)


def test_a_segment_that_is_called_as_a_region_of_several_labels_is_refused_with_their_names(tmp_path: Path) -> None:
    labels = Labels(
        values=(0, 1, 2),
        names=("background", "label 1", "core"),
        regions=(LabelRegion(name="whole", values=(1, 2), value=1), LabelRegion(name="core", values=(2,), value=2)),
    )
    layers = np.zeros((1, *GRID.shape), np.uint8)
    layers[0, :2], layers[0, 2] = 1, 2
    voxels = 2 * layers[0, 0].size
    nested = named.slicer(tmp_path / "a.nrrd", layers, GRID, [("Whole", 1, 0), ("core", 2, 0)])
    told = rf"segment 'Whole' \({voxels} voxels\) is called as a region of the labels 'label 1' and 'core', .* make a "
    with pytest.raises(ImageError, match=told):
        read_labels(nested, labels)
    # as the message says, and a region of one label is this label
    apart = named.slicer(tmp_path / "b.nrrd", layers, GRID, [("label 1", 1, 0), ("core", 2, 0)])
    np.testing.assert_array_equal(read_labels(apart, labels).array, layers)
    # without a voxel it is of no account
    empty = named.slicer(tmp_path / "c.nrrd", layers, GRID, [("label 1", 1, 0), ("core", 2, 0), ("whole", 3, 0)])
    np.testing.assert_array_equal(read_labels(empty, labels).array, layers)
