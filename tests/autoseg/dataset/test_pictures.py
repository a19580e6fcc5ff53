"""Data sets of pictures in every layout; what of them cannot be read as one kind is refused with its cure."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import autoseg
from autoseg.dataset.case import Dataset
from autoseg.dataset.check import Check, check_dataset
from autoseg.dataset.inputs import read_inputs
from autoseg.dataset.load import load_case
from autoseg.dataset.pictures import sized
from autoseg.dataset.read import read_dataset
from autoseg.errors import DatasetError
from tests.autoseg.dataset import build
from tests.autoseg.dataset.draw_pictures import disc, folder, nnunet, save

COLOURS = ("R", "G", "B")


def checked(path: Path) -> tuple[Dataset, Check]:
    dataset = read_dataset(path)
    return dataset, check_dataset(dataset, workers=1)


def table(path: Path, *, colour: bool = True) -> Path:
    folder(path, colour=colour)
    rows = [f"p{i},images/p{i}.png,masks/p{i}.png" for i in range(3)]
    (path / "cases.csv").write_text("\n".join(["case,photo,label", *rows]), encoding="utf-8")
    return path


@pytest.mark.parametrize("layout", [folder, nnunet, table])
def test_colours_are_three_channels_in_every_layout(layout, tmp_path: Path) -> None:
    dataset, check = checked(layout(tmp_path / "data"))
    assert dataset.channels == COLOURS and dataset.ct == (False,) * 3
    for i, case in enumerate(dataset.cases):
        loaded = load_case(case, dataset.labels, "canonical")
        picture, mask = disc(i)
        assert np.array_equal(loaded.image[:, 0], np.moveaxis(picture, -1, 0))
        assert loaded.label is not None and np.array_equal(loaded.label[0], mask)
        assert loaded.geometry.shape == (1, 48, 64), "as it is seen"
    assert any("p0" in text and "states no resolution; 1 mm a pixel" in text for text in check.warnings)
    assert sum("states no resolution" in text for text in check.warnings) == 1, "told once for all"


@pytest.mark.parametrize("names", [("red", "green", "blue"), ("rgb_to_0_1",) * 3])
def test_other_names_of_colours(names: tuple[str, ...], tmp_path: Path) -> None:
    assert read_dataset(nnunet(tmp_path / "data", names=names)).channels == COLOURS


def test_colours_under_names_of_sequences_are_refused(tmp_path: Path) -> None:
    dataset = read_dataset(nnunet(tmp_path / "data", names=("T1", "T2", "STIR")))
    with pytest.raises(DatasetError, match=r"no file .* for T2 .*pictures in colour have the channels R, G and B"):
        check_dataset(dataset, workers=1)


def test_grey_pictures_are_one_channel(tmp_path: Path) -> None:
    dataset, _ = checked(table(tmp_path / "data", colour=False))
    assert dataset.channels == ("photo",) and not dataset.cases[0].colours


def test_grey_among_colours_is_repeated_with_a_word(tmp_path: Path) -> None:
    folder(tmp_path)
    save(tmp_path / "images" / "p1.png", disc(1, colour=False)[0])
    dataset, check = checked(tmp_path)
    assert dataset.channels == COLOURS
    assert any("p1.png: it is grey, and is read as three equal colours" in text for text in check.warnings)
    save(tmp_path / "images" / "p1.png", disc(1, colour=False)[0].astype(np.uint16) * 100)
    with pytest.raises(DatasetError, match=r"p1\.png: is grey with values up to .* save it as 8-bit RGB"):
        checked(tmp_path)


def test_masks_of_0_and_255_are_understood_or_told(tmp_path: Path) -> None:
    dataset, _ = checked(folder(tmp_path / "folder"))
    assert dataset.labels.values == (0, 255), "predictions have the values of the files"
    data = nnunet(tmp_path / "nnunet")
    for file in (data / "labelsTr").iterdir():
        save(file, disc(0)[1].astype(np.uint8) * 255)
    cure = r'not declared: 255 \(\d+ voxels\).*if 255 is disc, declare it so in dataset.json \("disc": 255\)'
    with pytest.raises(DatasetError, match=cure):
        checked(data)


def test_smoothed_masks_are_refused(tmp_path: Path) -> None:
    folder(tmp_path)
    smooth = np.linspace(0, 255, 48 * 64).reshape(48, 64).astype(np.uint8)
    save(tmp_path / "masks" / "p0.png", smooth)
    with pytest.raises(DatasetError, match="hold 255 values up to 255, as masks do that were resized, smoothed"):
        read_dataset(tmp_path)


def test_labels_in_jpeg_are_refused(tmp_path: Path) -> None:
    data = nnunet(tmp_path, ending=".jpg")
    with pytest.raises(DatasetError, match=r"p0\.jpg: is a label map in JPEG, which changes values"):
        checked(data)


def test_a_label_of_another_size_is_refused(tmp_path: Path) -> None:
    folder(tmp_path)
    save(tmp_path / "masks" / "p0.png", disc(0)[1].T.astype(np.uint8) * 255)
    with pytest.raises(DatasetError, match=r"p0\.png is not on the grid of the image"):
        checked(tmp_path)


def test_a_label_lies_on_its_picture_whatever_resolution_it_states(tmp_path: Path) -> None:
    folder(tmp_path, dpi=(508, 508))
    save(tmp_path / "masks" / "p0.png", disc(0)[1].astype(np.uint8) * 255, dpi=(254, 254))
    _, check = checked(tmp_path)
    assert {case.geometry.spacing for case in check.cases} == {(1.0, 0.05, 0.05)}


def test_sizes_by_several_rules_are_refused_and_a_given_one_holds_for_all(tmp_path: Path) -> None:
    folder(tmp_path, dpi=(508, 508))
    save(tmp_path / "images" / "p1.png", disc(1)[0], dpi=(300, 300))
    with pytest.raises(
        DatasetError, match=r"pictures p0, p2 state the size .* p1 does not\. Give it for all with --spac"
    ):
        checked(tmp_path)
    given = sized(read_dataset(tmp_path), (0.2, 0.1))
    check = check_dataset(given, workers=1)
    assert {case.geometry.spacing for case in check.cases} == {(1.0, 0.2, 0.1)}
    assert any("p0.png" in text and "it states 0.05 mm a pixel, and 0.2 × 0.1 mm" in text for text in check.warnings)


def test_pictures_and_volumes_are_no_one_data_set(tmp_path: Path) -> None:
    folder(tmp_path, colour=False)
    build.write(tmp_path / "v.nii.gz", np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32))
    build.write(tmp_path / "v_label.nii.gz", np.ones((4, 5, 6), np.uint8))
    rows = ["p0,images/p0.png,masks/p0.png", "v,v.nii.gz,v_label.nii.gz"]
    (tmp_path / "cases.csv").write_text("\n".join(["case,photo,label", *rows]), encoding="utf-8")
    with pytest.raises(DatasetError, match=r"p0 is a picture .*; v is an image with a place in a patient: make two"):
        checked(tmp_path)


def test_channels_in_files_of_their_own_have_one_size(tmp_path: Path) -> None:
    data = nnunet(tmp_path, names=("near", "far"))
    for i in range(3):
        save(data / "imagesTr" / f"p{i}_0001.png", disc(i + 9, colour=False)[0])
    dataset, _ = checked(data)
    assert load_case(dataset.cases[0], None, "canonical").image.shape == (2, 1, 48, 64)
    save(data / "imagesTr" / "p0_0001.png", disc(0, colour=False)[0].T)
    with pytest.raises(DatasetError, match=r"p0_0001\.png and .* are not pictures of one size"):
        checked(data)


@pytest.mark.parametrize("names", [("p_0000.png",), ("IMG_0000.png", "IMG_0001.png"), ("a.jpg", "b.jpeg")])
def test_new_pictures_for_models_of_colours(names: tuple[str, ...], tmp_path: Path) -> None:
    for i, name in enumerate(names):
        save(tmp_path / name, disc(i)[0])
    cases = read_inputs([tmp_path], COLOURS)
    expected = ["p"] if len(names) == 1 else [Path(name).stem for name in names]
    assert [case.name for case in cases] == expected
    for case in cases:
        assert load_case(case, None, "canonical").image.shape == (3, 1, 48, 64)


def test_a_table_of_new_pictures(tmp_path: Path) -> None:
    save(tmp_path / "a.png", disc(0)[0])
    (tmp_path / "cases.csv").write_text("case,photo\none,a.png", encoding="utf-8")
    (case,) = read_inputs([tmp_path], COLOURS)
    assert case.name == "one" and load_case(case, None, "canonical").image.shape == (3, 1, 48, 64)


def test_colours_are_no_sequences_and_no_grey(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", disc(0)[0])
    for channels, why in ((("T1", "T2", "STIR"), "the channels are sequences"), (("photo",), "one grey channel is")):
        (case,) = read_inputs([path], channels)
        with pytest.raises(DatasetError, match=f"is in colour, and {why}"):
            load_case(case, None, "canonical")
    (case,) = read_inputs([save(path, np.dstack([disc(0, colour=False)[0]] * 3))], ("photo",))
    loaded = load_case(replace(case, pixel_spacing=(0.5, 0.5)), None, "canonical")
    assert loaded.image.shape == (1, 1, 48, 64) and loaded.geometry.spacing == (1.0, 0.5, 0.5)
    assert loaded.done == (f"{path}: its three colours are equal everywhere, and one of them is read",)


def test_a_declared_list_of_files(tmp_path: Path) -> None:
    data = nnunet(tmp_path)
    declared = json.loads((data / "dataset.json").read_text(encoding="utf-8"))
    listed = {f"p{i}": {"images": [f"imagesTr/p{i}_0000.png"], "label": f"labelsTr/p{i}.png"} for i in range(3)}
    (data / "dataset.json").write_text(json.dumps(declared | {"dataset": listed}), encoding="utf-8")
    dataset, _ = checked(data)
    assert all(case.colours and len(case.images) == 3 for case in dataset.cases)


def test_a_table_is_written_of_a_folder_of_pictures(tmp_path: Path) -> None:
    folder(tmp_path)
    autoseg.table(tmp_path, tmp_path / "cases.csv")
    dataset, _ = checked(tmp_path)
    assert dataset.layout == "table" and dataset.channels == COLOURS and len(dataset.cases) == 3


def test_slices_beside_volumes_are_told(tmp_path: Path) -> None:
    for i, depth in enumerate((1, 6, 6)):
        build.write(tmp_path / "images" / f"p{i}.nii.gz", np.random.default_rng(i).normal(size=(depth, 20, 20)))
        build.write(tmp_path / "labels" / f"p{i}.nii.gz", np.ones((depth, 20, 20), np.uint8))
    _, check = checked(tmp_path)
    assert any("1 of 3 images have one slice (p0), the others are volumes" in text for text in check.warnings)
