"""Images to predict, however they are given."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest

from autoseg.dataset.case import Case
from autoseg.dataset.inputs import read_inputs
from autoseg.dataset.load import load_case
from autoseg.errors import AutosegError, DatasetError, InputError
from tests.autoseg.dataset import build
from tests.autoseg.image.dicom import write as dicom


def files(folder: Path, *names: str) -> Path:
    for i, name in enumerate(names):
        build.write(folder / name, build.voxels(i))
    return folder


def by_name(cases: tuple[Case, ...]) -> dict[str, Case]:
    assert len({case.name for case in cases}) == len(cases)
    return {case.name: case for case in cases}


def test_plain_names_with_one_channel(tmp_path):
    folder = files(tmp_path, "a.nii.gz", "b.nrrd", "c_0000.mha", ".hidden.nii.gz")
    (folder / "notes.txt").write_text("not an image", encoding="utf-8")
    cases = by_name(read_inputs([folder], ("T1",)))
    assert {name: case.images for name, case in cases.items()} == {
        "a": (folder / "a.nii.gz",),
        "b": (folder / "b.nrrd",),
        "c_0000": (folder / "c_0000.mha",),
    }
    assert all(case.label is None for case in cases.values())


def test_suffixes_where_all_files_carry_them(tmp_path):
    folder = files(tmp_path, "a_0000.nii.gz", "b_0000.nii.gz")
    assert [case.name for case in read_inputs([folder], ("T1",))] == ["a", "b"]


def test_four_digits_of_one_channel_models_may_be_case_numbers(tmp_path):
    folder = files(tmp_path, "case_0000.nii.gz", "case_0001.nii.gz", "case_0002.nii.gz")
    assert [case.name for case in read_inputs([folder], ("T1",))] == ["case_0000", "case_0001", "case_0002"]


def test_several_channels_grouped_by_suffix_beside_a_4d_file(tmp_path):
    folder = files(tmp_path, "a_0000.nii.gz", "a_0001.nii.gz")
    array = build.voxels(5, (2, *build.SHAPE))
    build.write(folder / "whole.nii.gz", array)
    cases = by_name(read_inputs([folder], ("T1", "T2")))
    assert cases["a"].images == (folder / "a_0000.nii.gz", folder / "a_0001.nii.gz")
    assert not cases["a"].several_channels_in_one_file
    np.testing.assert_array_equal(load_case(cases["whole"], None, "as_stored").image, array)


def test_list_of_files_and_a_file_given_twice(tmp_path):
    files(tmp_path, "a_0000.nii.gz", "a_0001.nii.gz")
    paths = [tmp_path / "a_0001.nii.gz", tmp_path / "a_0000.nii.gz", tmp_path / "a_0001.nii.gz"]
    (case,) = read_inputs(paths, ("T1", "T2"))
    assert case.images == (tmp_path / "a_0000.nii.gz", tmp_path / "a_0001.nii.gz") and not case.problems


def test_single_file(tmp_path):
    path = build.write(tmp_path / "a.v2.nii.gz", build.voxels())
    (case,) = read_inputs([path], ("T1",))
    assert (case.name, case.images) == ("a.v2", (path,))


def test_dicom_folder_and_folder_of_dicom_folders(tmp_path):
    array = np.random.default_rng(0).integers(0, 1000, build.SHAPE)
    for name in ("first", "second"):
        build.dicom(tmp_path / name, array)
    (case,) = read_inputs([tmp_path / "first"], ("T1",))
    assert (case.name, case.images) == ("first", (tmp_path / "first",))
    assert [case.name for case in read_inputs([tmp_path], ("T1",))] == ["first", "second"]
    np.testing.assert_array_equal(load_case(case, None, "canonical").image[0], array)


def test_dicom_files_without_an_ending(tmp_path):
    folder = build.dicom(tmp_path / "scan", np.random.default_rng(0).integers(0, 9, build.SHAPE))
    for file in folder.iterdir():
        file.rename(file.with_suffix(""))
    (case,) = read_inputs([folder], ("T1",))
    assert case.images == (folder,)


def test_what_lies_beside_dicom_slices_is_not_passed_over(tmp_path):
    scan = build.dicom(tmp_path / "scan", np.random.default_rng(0).integers(0, 9, build.SHAPE))
    (scan / "preview.png").write_bytes(b"x")
    (scan / "notes.txt").write_text("seen", encoding="utf-8")
    (case,) = read_inputs([scan], ("T1",))
    assert case.images == (scan,)
    (warning,) = load_case(case, None, "canonical").warnings
    assert "notes.txt is no DICOM file; preview.png is no DICOM file" in warning
    # another image is another case, and no warning says that it is not read
    old = build.write(scan / "old.nii", build.voxels())
    told: list[str] = []
    cases = by_name(read_inputs([scan], ("T1",), tell=told.append))
    assert set(cases) == {"scan", "old"} and cases["old"].images == (old,)
    assert load_case(cases["scan"], None, "canonical").warnings == ()
    assert any("notes.txt: no image" in sentence for sentence in told)
    assert any("preview.png: a picture beside DICOM slices" in sentence for sentence in told)


def test_a_stray_dicom_file_hides_no_other_image(tmp_path):
    for name in ("anna", "bert"):
        build.dicom(tmp_path / "patients" / name, np.random.default_rng(0).integers(0, 9, build.SHAPE))
    stray = tmp_path / "patients" / "stray.dcm"
    stray.write_bytes((tmp_path / "patients" / "anna" / "slice_000.dcm").read_bytes())
    names = [case.name for case in read_inputs([tmp_path / "patients"], ("T1",))]
    assert names == ["anna", "bert", "stray"]
    files = [build.write(tmp_path / "files" / f"{name}.nii.gz", build.voxels()) for name in ("carl", "dora")]
    stray.rename(tmp_path / "files" / "stray.dcm")
    found = [case.images[0] for case in read_inputs([tmp_path / "files"], ("T1",))]
    assert found == [tmp_path / "files" / "stray.dcm", *files]


def test_dicom_slices_deep_inside_are_found(tmp_path):
    deep = build.dicom(tmp_path / "disc" / "DICOM" / "PA000" / "SE000", np.ones((2, 3, 4)))
    (tmp_path / "disc" / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    told: list[str] = []
    (case,) = read_inputs([tmp_path / "disc"], ("T1",), tell=told.append)
    assert (case.name, case.images) == ("DICOM_PA000_SE000", (deep,))
    assert told == [f"{tmp_path / 'disc'}: left out DICOMDIR: an index of a folder (DICOMDIR)"]


def test_table_matches_channels_by_name_and_leaves_missing_ones_out(tmp_path):
    rows = build.table(tmp_path, cases=2, channels=("stir", "T1"))
    for row in rows:
        del row["label"]
    rows[1]["T1"] = ""
    path = build.write_table(tmp_path, rows)
    for given in (path, path.parent):
        cases = read_inputs([given], ("T1", "T2", "STIR"))
        assert cases[0].images == (tmp_path / "T1/case_0.nii.gz", None, tmp_path / "stir/case_0.nii.gz")
        assert cases[1].present == (False, False, True)
        assert not any(case.problems for case in cases)


def test_one_wrong_case_does_not_stop_the_others(tmp_path):
    files(tmp_path, "a_0000.nii.gz", "a_0001.nii.gz", "b_0000.nii.gz", "c_0000.nii.gz", "c_0001.nii.gz")
    files(tmp_path, "c_0002.nii.gz")
    (tmp_path / "d_0000.nii.gz").write_bytes(b"nothing")
    files(tmp_path, "d_0001.nii.gz")
    cases = by_name(read_inputs([tmp_path, tmp_path / "e_0000.nii.gz"], ("T1", "T2")))
    assert load_case(cases["a"], None, "canonical").image.shape[0] == 2
    told = {"b": "no file for T2", "c": "c_0002.nii.gz, but the model has 2", "d": "cannot be read", "e": "no file for"}
    for name, text in told.items():
        with pytest.raises(AutosegError, match=text):
            load_case(cases[name], None, "canonical")


def test_missing_file_among_files_is_a_problem_of_its_case(tmp_path):
    files(tmp_path, "a.nii.gz")
    cases = by_name(read_inputs([tmp_path / "a.nii.gz", tmp_path / "gone.nii.gz"], ("T1",)))
    assert load_case(cases["a"], None, "canonical").image.shape == (1, *build.SHAPE)
    with pytest.raises(AutosegError, match=r"gone\.nii\.gz: does not exist"):
        load_case(cases["gone"], None, "canonical")


def test_rows_that_are_wrong_keep_to_themselves(tmp_path):
    rows = build.table(tmp_path, cases=4, channels=("T1",))
    rows[1]["T1"] = "gone.nii.gz"
    rows[2]["T1"] = ""
    path = build.write_table(tmp_path, rows)
    path.write_text(path.read_text(encoding="utf-8") + "too,short\n")
    cases = read_inputs([path], ("T1",))
    assert [bool(case.problems) for case in cases] == [False, True, True, False, True]
    assert "line 3, column T1" in cases[1].problems[0]
    assert "line 4: names no image" in cases[2].problems[0]
    assert "line 6: has 2 cells" in cases[4].problems[0]


def test_same_name_from_two_folders_would_overwrite_a_prediction(tmp_path):
    first, second, third = (build.write(tmp_path / f / "a.nii.gz", build.voxels()) for f in "xyz")
    cases = read_inputs([first, second, third], ("T1",))
    assert [len(case.problems) for case in cases] == [0, 1, 1]
    assert "duplicate case" in cases[2].problems[0]


def test_nothing_to_predict(tmp_path):
    with pytest.raises(InputError, match="holds no image"):
        read_inputs([tmp_path], ("T1",))
    with pytest.raises(InputError, match="does not exist"):
        read_inputs([tmp_path / "nowhere"], ("T1",))
    (tmp_path / "cases.csv").write_text("case,FLAIR\na,b.nii.gz\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"no column is named like a channel of the model \(T1\)"):
        read_inputs([tmp_path], ("T1",))
    (tmp_path / "cases.csv").write_text("FLAIR\nb.nii.gz\n", encoding="utf-8")
    with pytest.raises(DatasetError, match="no column `case`"):
        read_inputs([tmp_path], ("FLAIR",))


def test_folders_of_patients_are_told_with_the_way_to_a_table(tmp_path):
    for name in ("a/T1.nii.gz", "a/T2.nii.gz", "b/T1.nii.gz"):
        build.write(tmp_path / name, build.voxels())
    with pytest.raises(InputError, match=rf"or write a table of the folders: autoseg table {tmp_path} -o cases.csv"):
        read_inputs([tmp_path], ("T1", "T2"))


def test_a_localiser_by_its_description_may_be_named_in_a_table(tmp_path):
    for z, one in enumerate(dicom.stack(np.ones((2, 3, 4), np.int16))):
        dicom.single(tmp_path / "scan" / str(z), one.with_elements(SeriesDescription="Survey spine"))
    with pytest.raises(InputError, match=r"by its description \(Survey spine\); to predict one all the same, name its"):
        read_inputs([tmp_path], ("T1",))
    (tmp_path / "cases.csv").write_text("case,T1\na,scan\n", encoding="utf-8")
    (case,) = read_inputs([tmp_path], ("T1",))
    assert case.images == (tmp_path / "scan",) and not case.problems


@pytest.mark.parametrize(("channel", "told"), [("T1", True), ("image", False), ("T2", True)])
def test_names_of_another_sequence_than_the_models_are_told(tmp_path, channel, told):
    files(tmp_path, "a_T1.nii.gz", "a_T2.nii.gz", "b.nii.gz")
    sentences: list[str] = []
    cases = read_inputs([tmp_path], (channel,), tell=sentences.append)
    assert [case.name for case in cases] == ["a_T1", "a_T2", "b"]
    other = {"T1": "a_T2.nii.gz", "T2": "a_T1.nii.gz"}.get(channel)
    assert [sentence.startswith(f"{tmp_path / str(other)}: by the name another") for sentence in sentences] == [
        True
    ] * told


def test_real_data(test_data):
    cases = read_inputs([test_data / "hippocampus40" / "imagesTs"], ("MRI",))
    assert len(cases) == 10 and all(case.name.startswith("hippocampus_") for case in cases)
    cases = read_inputs([test_data / "abdomen20" / "imagesTr"], ("T2-SPIR",))
    assert [case.name for case in cases][:2] == ["abdomen_01", "abdomen_02"]


CHANNELS = ("T1", "T2", "STIR")


def test_files_of_sequences_that_are_not_used_need_not_be_there(tmp_path):
    folder = files(tmp_path, "a_0000.nii.gz", "a_0001.nii.gz", "b_0001.nii.gz", "b_0002.nii.gz")
    cases = by_name(read_inputs([folder], CHANNELS, sequences=("T2",)))
    assert {name: case.images for name, case in cases.items()} == {
        "a": (None, folder / "a_0001.nii.gz", None),
        "b": (None, folder / "b_0001.nii.gz", None),
    }
    assert not any(case.problems for case in cases.values())
    cases = by_name(read_inputs([folder], CHANNELS, sequences=("T1", "T2")))
    assert not cases["a"].problems
    (problem,) = cases["b"].problems
    assert "T1 (_0000)" in problem and "STIR" not in problem and "--sequences" in problem


def test_files_that_are_not_needed_are_used_where_they_are(tmp_path):
    folder = files(tmp_path, "a_0000.nii.gz", "a_0001.nii.gz", "b_0001.nii.gz")
    cases = by_name(read_inputs([folder], CHANNELS, needed=("T2",)))
    assert cases["a"].present == (True, True, False)
    assert cases["b"].present == (False, True, False)
    assert not any(case.problems for case in cases.values())


def test_columns_of_sequences_that_are_not_used_are_left_out(tmp_path):
    rows = build.table(tmp_path, cases=2, channels=CHANNELS)
    rows[1]["T2"] = ""
    path = build.write_table(tmp_path, rows)
    first, second = read_inputs([path], CHANNELS, sequences=("T2", "STIR"))
    assert first.present == (False, True, True) and second.present == (False, False, True)
    _, lacking = read_inputs([path], CHANNELS, sequences=("T2",))
    assert "names no image" in " ".join(lacking.problems)
    with pytest.raises(InputError, match=r"channel of the model \(FLAIR\)"):
        read_inputs([path], (*CHANNELS, "FLAIR"), sequences=("FLAIR",))


def test_one_file_holds_all_channels_or_those_that_are_used(tmp_path):
    array = build.voxels(5, (3, *build.SHAPE))
    build.write(tmp_path / "all.nii.gz", array)
    build.write(tmp_path / "two.nii.gz", array[[0, 2]])
    build.write(tmp_path / "one.nii.gz", array[0])
    cases = by_name(read_inputs([tmp_path], CHANNELS, sequences=("T1", "STIR")))
    expected = array * np.array([1, 0, 1], np.float32)[:, None, None, None]
    for name in ("all", "two"):
        loaded = load_case(cases[name], None, "as_stored")
        assert loaded.present == (True, False, True)
        np.testing.assert_array_equal(loaded.image, expected)
    with pytest.raises(DatasetError, match=r"wrong number of channels: .* holds 1, expected .* a cases\.csv"):
        load_case(cases["one"], None, "as_stored")
    (alone,) = read_inputs([tmp_path / "one.nii.gz"], CHANNELS, sequences=("STIR",))
    np.testing.assert_array_equal(load_case(alone, None, "as_stored").image[2], array[0])


def series(folder: Path, seed: int = 0, **elements: object) -> np.ndarray:
    """Write a DICOM series, and return its voxels."""
    array = np.random.default_rng(seed).integers(0, 500, (3, 4, 5)).astype(np.int16)
    of = [one.with_elements(**elements) for one in dicom.stack(array)]
    for z, one in enumerate(of):
        dicom.single(folder / f"{seed}_{z}", one)
    return array


def test_every_series_of_a_tree_is_an_image_of_its_own(tmp_path):
    arrays = {}
    for p in range(3):
        for s in range(2):
            about = {"PatientID": f"ID{p}", "StudyInstanceUID": f"1.{p}.{s}"}
            for i in range(2):
                uid = {"SeriesInstanceUID": f"1.{p}.{s}.{i}", "SeriesNumber": i + 1}
                arrays[f"p{p}_st{s}_series{i + 1}"] = series(tmp_path / f"p{p}" / f"st{s}", i, **about, **uid)
    told: list[str] = []
    cases = by_name(read_inputs([tmp_path], ("T1",), tell=told.append))
    assert cases.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(load_case(cases[name], None, "as_stored").image[0], array)
    assert told == [f"{tmp_path}: 12 DICOM series (patients: 3, studies: 6); each is predicted as an image of its own"]
    asked = by_name(read_inputs([tmp_path], ("T1",), by_patient=True))
    assert asked.keys() == {f"ID{name[1]}_{name}" for name in arrays}
    several = read_inputs([tmp_path / "p0" / "st0", tmp_path / "p1" / "st0?series=2"], ("T1",))
    assert [case.name for case in several] == ["st0_series1", "p0_st0_series2", "p1_st0_series2"]


def test_a_series_for_models_of_several_sequences(tmp_path):
    series(tmp_path / "scan")
    (case,) = read_inputs([tmp_path], CHANNELS, sequences=("T1", "STIR"))
    with pytest.raises(DatasetError, match="the models want T1, STIR, and this is one series of DICOM") as refused:
        load_case(case, None, "as_stored")
    assert "autoseg table FOLDER -o cases.csv --sequence 'T1=*t1*' --sequence 'STIR=*stir*'`" in str(refused.value)
    (alone,) = read_inputs([tmp_path], CHANNELS, sequences=("T1",))
    assert load_case(alone, None, "as_stored").present == (True, False, False)


def test_series_of_one_name_in_two_folders_are_told_apart(tmp_path):
    for p in range(2):
        series(tmp_path / f"p{p}" / "scan", p, SeriesInstanceUID=f"1.{p}")
    cases = read_inputs([tmp_path / "p0" / "scan", tmp_path / "p1" / "scan"], ("T1",))
    assert [(case.name, case.problems) for case in cases] == [("p0_scan", ()), ("p1_scan", ())]


def test_what_is_chosen_is_predicted(tmp_path):
    echoes = [series(tmp_path / "scan", i, EchoTime=2.5 * (i + 1), SeriesNumber=1) for i in range(2)]
    (whole,) = read_inputs([tmp_path], ("T1",))
    with pytest.raises(AutosegError, match=r"holds 2 volumes.*such as the last: '.*scan\?echo=5'"):
        load_case(whole, None, "as_stored")
    for given in (tmp_path / "scan?echo=5", Path(f"{tmp_path}?echo=5")):
        (case,) = read_inputs([given], ("T1",))
        assert case.name == "scan_echo5"
        np.testing.assert_array_equal(load_case(case, None, "as_stored").image[0], echoes[1])
    with pytest.raises(InputError, match=r"no DICOM series in it has series=\*t2\*; there are series 1"):
        read_inputs([f"{tmp_path}?series=*t2*"], ("T1",))
    with pytest.raises(AutosegError, match="'ecko' cannot be chosen"):
        read_inputs([f"{tmp_path}?ecko=5"], ("T1",))


def test_nothing_is_passed_over_in_silence(tmp_path):
    files(tmp_path, "a.nii.gz", "deeper/b.nii.gz", "deeper/still/c.nii.gz")
    build.write(tmp_path / "d.nii", build.voxels())
    (tmp_path / "e.nii.bz2").write_bytes(b"BZh9")
    (tmp_path / "readme.txt").write_text("seen", encoding="utf-8")
    (tmp_path / "gone.nii.gz").symlink_to(".git/annex/objects/gone.nii.gz")
    (tmp_path / "deeper" / "gone.nii").symlink_to("nowhere")
    told: list[str] = []
    cases = by_name(read_inputs([tmp_path], ("T1",), tell=told.append))
    assert cases.keys() == {"a", "d", "gone"}
    with pytest.raises(
        AutosegError, match=r"is a link to \.git/annex/objects/gone\.nii\.gz, and that file does not exist"
    ):
        load_case(cases["gone"], None, "canonical")
    shown = "\n".join(told)
    assert "deeper/b.nii.gz, deeper/still/c.nii.gz: in a folder inside" in shown
    assert "e.nii.bz2: packed in a way that is not read; unpack it" in shown
    assert "readme.txt: no image" in shown
    assert "deeper/gone.nii: a link to nowhere, and that file does not exist" in shown
    for name in ("a.nii.gz", "d.nii", "gone.nii.gz"):
        (tmp_path / name).unlink()
    with pytest.raises(InputError, match=r"holds no image, no DICOM series and no cases\.csv; .*deeper/b\.nii\.gz"):
        read_inputs([tmp_path], ("T1",))


def test_damaged_slices_are_cases_that_fail(tmp_path):
    series(tmp_path / "fine")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "a.dcm").write_bytes(b"nothing")
    cases = by_name(read_inputs([tmp_path], ("T1",)))
    assert cases.keys() == {"fine", "a"}
    with pytest.raises(AutosegError, match=r"a\.dcm: .*damaged"):
        load_case(cases["a"], None, "canonical")


def test_names_in_both_unicode_forms_are_one(tmp_path):
    composed, apart = (unicodedata.normalize(form, "Zoé") for form in ("NFC", "NFD"))
    files(tmp_path, f"{composed}_0000.nii.gz", f"{apart}_0001.nii.gz")
    (case,) = read_inputs([tmp_path], ("T1", "T2"))
    assert case.name == composed and case.present == (True, True) and not case.problems
    for i, name in enumerate((composed, apart)):
        files(tmp_path / "twice" / str(i), f"{name}.nii.gz")
    _, second = read_inputs([tmp_path / "twice" / str(i) for i in range(2)], ("T1",))
    assert "duplicate case" in second.problems[0]


def test_a_segmentation_beside_its_image_is_named_and_not_predicted(tmp_path):
    folder, told = files(tmp_path / "scans", "anna.nrrd", "anna.seg.nrrd", "bert.nrrd", "bert.SEG.NRRD"), []
    found = by_name(read_inputs([folder], ("T1",), tell=told.append))
    assert sorted(found) == ["anna", "bert"] and found["anna"].problems == ()
    why = "a segmentation of 3D Slicer, which is read as a label alone"
    assert told == [f"{folder}: left out anna.seg.nrrd, bert.SEG.NRRD: {why}"]
    # who names the file is told that it is no image
    ((name, case),) = by_name(read_inputs([folder / "anna.seg.nrrd"], ("T1",))).items()
    assert name == "anna.seg.nrrd"
    with pytest.raises(
        DatasetError, match=r"anna\.seg\.nrrd: is a segmentation of 3D Slicer, which is read as a label"
    ):
        load_case(case, None, "canonical")


def test_a_mask_beside_its_image_is_left_out_and_named(tmp_path):
    names = ("a_T1.nii.gz", "a_T1_seg.nii.gz", "b.nii.gz", "mask_b.nii.gz", "c_mask.nii.gz", "label.nii.gz")
    folder, told = files(tmp_path / "scans", *names), []
    cases = read_inputs([folder], ("T1",), tell=told.append)
    # of c there is no image beside it, so that it may be one
    assert [case.name for case in cases] == ["a_T1", "b", "c_mask", "label"]
    (sentence,) = [one for one in told if "by its name the label map" in one]
    assert "a_T1_seg.nii.gz" in sentence and "mask_b.nii.gz" in sentence
    # who names the file means it
    assert [case.name for case in read_inputs([folder / "a_T1_seg.nii.gz"], ("T1",))] == ["a_T1_seg"]
