"""Folders as people lay them out are understood, and others are refused with what was seen and what to do."""

import unicodedata
from pathlib import Path

import pytest

from autoseg.dataset.folder.understand import understand, understand_annotated
from autoseg.errors import DatasetError, InputError

PEOPLE = ("p01", "p02", "p03")


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def of_everyone(*names: str) -> list[str]:
    return [name.replace("{}", person) for person in PEOPLE for name in names]


LAYOUTS = {
    "images and labels": (["images/{}.nii.gz", "labels/{}.nii.gz"], {"image": "images/{}.nii.gz"}, "labels/{}.nii.gz"),
    "image and mask": (["image/{}.nrrd", "mask/{}.nrrd"], {"image": "image/{}.nrrd"}, "mask/{}.nrrd"),
    "capitals, two formats": (
        ["Images/{}.nii", "Segmentations/{}.seg.nrrd"],
        {"image": "Images/{}.nii"},
        "Segmentations/{}.seg.nrrd",
    ),
    "photos, masks": (["photos/{}.jpg", "masks/{}.png"], {"image": "photos/{}.jpg"}, "masks/{}.png"),
    "scans, masks, sequences": (
        ["scans/{}_T1.nii.gz", "scans/{}_t2w.nii.gz", "masks/{}.nii.gz"],
        {"T1": "scans/{}_T1.nii.gz", "T2": "scans/{}_t2w.nii.gz"},
        "masks/{}.nii.gz",
    ),
    "label named for its sequence": (
        ["images/{}_T2.nii.gz", "labels/{}_T2_seg.nii.gz"],
        {"T2": "images/{}_T2.nii.gz"},
        "labels/{}_T2_seg.nii.gz",
    ),
    "nnU-Net's numbers, without dataset.json": (
        ["imagesTr/{}_0000.nii.gz", "imagesTr/{}_0001.nii.gz", "labelsTr/{}.nii.gz"],
        {"channel 0": "imagesTr/{}_0000.nii.gz", "channel 1": "imagesTr/{}_0001.nii.gz"},
        "labelsTr/{}.nii.gz",
    ),
    "one number": (
        ["imagesTr/{}_0000.nii.gz", "labelsTr/{}.nii.gz"],
        {"image": "imagesTr/{}_0000.nii.gz"},
        "labelsTr/{}.nii.gz",
    ),
    "beside, _seg": (["{}.nii.gz", "{}_seg.nii.gz"], {"image": "{}.nii.gz"}, "{}_seg.nii.gz"),
    "beside, -label": (["{}.nii.gz", "{}-label.nii.gz"], {"image": "{}.nii.gz"}, "{}-label.nii.gz"),
    "beside, .seg.nrrd": (["{}.nrrd", "{}.seg.nrrd"], {"image": "{}.nrrd"}, "{}.seg.nrrd"),
    "beside, sequences": (
        ["{}_FLAIR.nii", "{}_T1_post.nii", "{}_mask.nii"],
        {"T1ce": "{}_T1_post.nii", "FLAIR": "{}_FLAIR.nii"},
        "{}_mask.nii",
    ),
    "beside, own words": (
        ["{}_axial.nii.gz", "{}_sagittal.nii.gz", "{}_seg.nii.gz"],
        {"axial": "{}_axial.nii.gz", "sagittal": "{}_sagittal.nii.gz"},
        "{}_seg.nii.gz",
    ),
    "a folder a patient": (
        ["{}/STIR.nii.gz", "{}/T1.nii.gz", "{}/seg.nii.gz"],
        {"T1": "{}/T1.nii.gz", "STIR": "{}/STIR.nii.gz"},
        "{}/seg.nii.gz",
    ),
    "BraTS": (
        ["{}/{}_t1ce.nii.gz", "{}/{}_flair.nii.gz", "{}/{}_seg.nii.gz"],
        {"T1ce": "{}/{}_t1ce.nii.gz", "FLAIR": "{}/{}_flair.nii.gz"},
        "{}/{}_seg.nii.gz",
    ),
    "a folder a patient, own words": (
        ["{}/ax.nii.gz", "{}/sag.nii.gz", "{}/annotated.seg.nrrd"],
        {"ax": "{}/ax.nii.gz", "sag": "{}/sag.nii.gz"},
        "{}/annotated.seg.nrrd",
    ),
    "a folder a patient, one image": (
        ["{}/export_{}.nii", "{}/Segmentation.seg.nrrd"],
        {"image": "{}/export_{}.nii"},
        "{}/Segmentation.seg.nrrd",
    ),
    "a folder a sequence": (
        ["{}/T1/x.nii.gz", "{}/T2/x.nii.gz", "{}/labels/x.nii.gz"],
        {"T1": "{}/T1/x.nii.gz", "T2": "{}/T2/x.nii.gz"},
        "{}/labels/x.nii.gz",
    ),
    "BIDS": (
        [
            *("sub-{}/anat/sub-{}_T1w.nii.gz", "sub-{}/anat/sub-{}_FLAIR.nii.gz", "sub-{}/anat/sub-{}_T1w.json"),
            "derivatives/manual/sub-{}/anat/sub-{}_space-T1w_label-lesion_mask.nii.gz",
        ],
        {"T1": "sub-{}/anat/sub-{}_T1w.nii.gz", "FLAIR": "sub-{}/anat/sub-{}_FLAIR.nii.gz"},
        "derivatives/manual/sub-{}/anat/sub-{}_space-T1w_label-lesion_mask.nii.gz",
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout(tmp_path: Path, layout: str) -> None:
    files, images, label = LAYOUTS[layout]
    account = understand(touch(tmp_path, *of_everyone(*files)))
    assert account.sequences == tuple(images)
    assert len(account.cases) == 3
    for person, case in zip(PEOPLE, account.cases, strict=True):
        assert person in case.name
        assert case.images == {name: tmp_path / file.replace("{}", person) for name, file in images.items()}
        assert case.label == tmp_path / label.replace("{}", person)
    assert all(one.file.suffix == ".json" for one in account.left_out)


def test_visits_of_a_patient_stay_together(tmp_path: Path) -> None:
    files = [f"{person}/{year}/{name}.nii.gz" for person in PEOPLE for year in (2019, 2021) for name in ("T1", "seg")]
    account = understand(touch(tmp_path, *files))
    assert [(case.name, case.patient) for case in account.cases][:2] == [("p01_2019", "p01"), ("p01_2021", "p01")]


def test_sessions_of_bids(tmp_path: Path) -> None:
    folder = touch(
        tmp_path,
        *(f"sub-1/ses-{i}/anat/sub-1_ses-{i}_acq-{a}_T2w.nii.gz" for i in (1, 2) for a in ("ax", "sag")),
        *(f"derivatives/sub-1/ses-{i}/anat/sub-1_ses-{i}_dseg.nii.gz" for i in (1, 2)),
    )
    account = understand(folder)
    assert [(case.name, case.patient) for case in account.cases] == [
        ("sub-1_ses-1", "sub-1"),
        ("sub-1_ses-2", "sub-1"),
    ]
    assert account.sequences == ("acq-ax_T2w", "acq-sag_T2w")


def test_series_in_time_and_field_maps_of_bids_are_left_out(tmp_path: Path) -> None:
    names = ("anat/{}_T1w", "func/{}_task-rest_bold", "fmap/{}_phasediff", "anat/{}_dseg")
    files = [f"sub-{i}/{name.format(f'sub-{i}')}.nii.gz" for i in range(3) for name in names]
    account = understand(touch(tmp_path, *files))
    assert account.sequences == ("T1",) and len(account.cases) == 3
    assert {(one.file.parent.name, one.why) for one in account.left_out} == {
        (kind, f"in the folder {kind}, which holds no anatomy") for kind in ("func", "fmap")
    }


@pytest.mark.parametrize(
    ("files", "patients", "told"),
    [
        (
            [f"{site}/{site}{i}{end}.nii" for site in ("north", "south") for i in range(9) for end in ("", "_seg")],
            {None},
            "north, south (9 to 9 cases each) are taken for groups",
        ),
        (
            [
                f"cohort/p{i}/v{v}/{name}.nii"
                for i in range(5)
                for v in range(7 if i == 0 else 1)
                for name in ("T1", "seg")
            ],
            {"p0", "p1", "p2", "p3", "p4"},
            "p0, p1, p2, p3 … (1 to 7 cases each) are taken for patients",
        ),
        (
            [f"s{i % 2}/p{i}/v{v}/{name}.nii" for i in range(4) for v in range(2) for name in ("T1", "seg")],
            {"s0_p0", "s1_p1", "s0_p2", "s1_p3"},
            "are taken for patients",
        ),
        ([f"p{i}/{name}.nii" for i in range(4) for name in ("T1", "seg")], {None}, None),
    ],
)
def test_folders_above_the_cases(tmp_path: Path, files: list[str], patients: set, told: str | None) -> None:
    account = understand(touch(tmp_path, *files))
    assert {case.patient for case in account.cases} == patients
    assert (told in account.notes[0]) if told else (account.notes == ())


@pytest.mark.parametrize("ends", [("pre", "post"), ("20190304", "2021-03-04"), ("v1", "v2"), ("L", "R")])
def test_visits_side_by_side_are_one_patients(tmp_path: Path, ends: tuple[str, str]) -> None:
    files = [f"{person}_{end}{kind}.nii" for person in PEOPLE for end in ends for kind in ("", "_seg")]
    account = understand(touch(tmp_path, *files))
    assert len(account.cases) == 6 and {case.patient for case in account.cases} == set(PEOPLE)
    assert "are taken for one patient's" in account.notes[0]


def test_files_of_one_sequence_that_are_named_differently_are_told(tmp_path: Path) -> None:
    files = [f"p{i}/t2_{'sag' if i < 2 else 'ax'}.nii" for i in range(4)] + [f"p{i}/seg.nii" for i in range(4)]
    account = understand(touch(tmp_path, *files))
    assert account.notes == (
        "T2 has files of different names: t2_sag in 2, t2_ax in 2; if these are different sequences, write a table",
    )


def test_what_is_not_used_is_named(tmp_path: Path) -> None:
    sound = of_everyone("{}.nii.gz", "{}_seg.nii.gz")
    others = ("notes.docx", "p09.nii.gz", "p10.nii.bz2", "preview.png", "imagesTs/p11.nii.gz")
    account = understand(touch(tmp_path, *sound, *others, ".hidden.nii.gz"))
    assert {(str(one.file.relative_to(tmp_path)), one.why) for one in account.left_out} == {
        ("notes.docx", "no image"),
        ("p09.nii.gz", "has no label map"),
        ("p10.nii.bz2", "packed in a way that is not read; unpack it"),
        ("preview.png", "a picture beside volumes"),
        ("imagesTs", "for testing or validation, by its name"),
    }


def test_a_link_to_a_folder_above_ends(tmp_path: Path) -> None:
    touch(tmp_path, *of_everyone("{}.nii.gz", "{}_seg.nii.gz"))
    (tmp_path / "again").symlink_to(tmp_path, target_is_directory=True)
    assert [one.file.name for one in understand(tmp_path).left_out] == ["again"]


def test_a_run_in_the_folder_and_images_for_testing_are_left_out(tmp_path: Path) -> None:
    sound = of_everyone("{}.nii.gz", "{}_seg.nii.gz")
    run = ["RUN/fingerprint.json", "RUN/splits.json", "RUN/preprocessed/3d/p01/reference.nii.gz"]
    account = understand(touch(tmp_path, *sound, *run, "test/p07.nii.gz", "a.mhd", "a_seg.mhd", "a.raw", "a_seg.raw"))
    assert len(account.cases) == 4
    assert [(one.file.name, one.why) for one in account.left_out] == [
        ("RUN", "a RUN folder"),
        ("test", "for testing or validation, by its name"),
    ]


def test_letters_differ_in_case(tmp_path: Path) -> None:
    (case,) = understand(touch(tmp_path, "images/P01.nii", "labels/p01.nii")).cases
    assert case.name == "P01" and case.label == tmp_path / "labels/p01.nii"


def test_numbers_that_count_cases_are_no_channels(tmp_path: Path) -> None:
    account = understand(touch(tmp_path, *(f"case_{i:04d}.nii.gz" for i in range(1, 5))))
    assert [case.name for case in account.cases] == [f"case_{i:04d}" for i in range(1, 5)]


def test_masks_of_the_brain_are_no_annotation(tmp_path: Path) -> None:
    folder = touch(
        tmp_path,
        *(f"sub-{i}/anat/sub-{i}_T1w.nii.gz" for i in range(3)),
        *(f"derivatives/fmriprep/sub-{i}/anat/sub-{i}_desc-brain_mask.nii.gz" for i in range(3)),
    )
    with pytest.raises(DatasetError, match="holds 3 images and no label map by its name"):
        understand_annotated(folder)


def test_accents_written_in_two_ways(tmp_path: Path) -> None:
    composed, parted = (unicodedata.normalize(form, "André") for form in ("NFC", "NFD"))
    account = understand(touch(tmp_path, f"images/{composed}.nii", f"labels/{parted}.nii"))
    assert [case.name for case in account.cases] == [composed]


REFUSED = {
    "groups or sequences": (
        ["PD_001.nii", "PD_001_seg.nii", "HC_002.nii", "HC_002_seg.nii"],
        r"PD may be a sequence or a part of the names: no case has two sequences",
    ),
    "a second annotation": (
        of_everyone("{}_axial.nii", "{}_seg.nii", "{}_seg_AM.nii"),
        r"these may be label maps or images: p01_seg_AM\.nii \(seg\)",
    ),
    "words of other languages": (
        of_everyone("{}/t2.nii", "{}/Wirbel Maske.nii"),
        r"these may be label maps or images: p01/Wirbel Maske\.nii \(maske\)",
    ),
    "an image that is left in the folder of a case": (
        of_everyone("{}/T1.nii", "{}/T1_brain.nii", "{}/T1_brain_mask.nii"),
        r"case p01 has two images of T1, p01/T1\.nii and p01/T1_brain\.nii",
    ),
    "an image that is left beside": (
        of_everyone("{}_native.nii", "{}_portal.nii", "{}_portal_seg.nii"),
        r"their names do not tell which belong together",
    ),
    "a visit without a label map": (
        ["p1_axial.nii", "p1_2_axial.nii", "p1_seg.nii", "p2_axial.nii", "p2_seg.nii"],
        r"their names do not tell which belong together",
    ),
    "names that differ": (
        ["images/a.nii", "images/b.nii", "labels/x.nii", "labels/y.nii"],
        r"2 label maps and 2 images, .* without a partner of the same name: labels/x\.nii, labels/y\.nii, images/a",
    ),
    "two label maps": (
        of_everyone("{}.nii", "{}_seg.nii", "{}_mask.nii"),
        r"case p01 has two label maps, p01_mask.nii and p01_seg.nii",
    ),
    "two images of a sequence": (
        of_everyone("{}/T1.nii", "{}/t1w.nii", "{}/seg.nii"),
        r"case p01 has two images of T1, p01/T1.nii and p01/t1w.nii",
    ),
    "a label map alone": (
        [*of_everyone("{}/T1.nii", "{}/seg.nii"), "p04/seg.nii"],
        r"4 label maps and 3 images, and their names do not tell which belong together",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_what_was_seen_and_a_way_out(tmp_path: Path, case: str) -> None:
    files, told = REFUSED[case]
    with pytest.raises(DatasetError, match=told) as error:
        understand(touch(tmp_path, *files))
    assert f"autoseg table {tmp_path} -o cases.csv --images" in str(error.value)


@pytest.mark.parametrize(
    "files",
    [
        of_everyone("{}/ct.nii.gz", "{}/segmentations/liver.nii.gz", "{}/segmentations/spleen.nii.gz"),
        of_everyone("images/{}.nii.gz", "labels/liver/{}.nii.gz", "labels/spleen/{}.nii.gz"),
    ],
)
def test_a_mask_for_each_class_is_told_with_what_to_save(tmp_path: Path, files: list[str]) -> None:
    with pytest.raises(DatasetError, match=r"several label maps for each case \(liver, spleen\).*save them as one"):
        understand(touch(tmp_path, *files))


def test_a_data_set_in_a_folder_inside_is_told(tmp_path: Path) -> None:
    """By its names alone it would lose the names of its classes, regions and voxels that are not annotated."""
    inside = [f"Dataset001_X/{name}" for name in ("dataset.json", "imagesTr/a_0000.nii", "labelsTr/a.nii")]
    with pytest.raises(DatasetError, match=r"in a folder inside, by its Dataset001_X/dataset\.json; give that folder"):
        understand(touch(tmp_path, *inside))
    # classes that are named beside the label maps for `evaluate` are no data set
    beside = touch(tmp_path / "other", "images/a.nii", "labels/a.nii", "labels/dataset.json")
    assert len(understand(beside).cases) == 1


def test_a_folder_without_images_says_what_lies_there(tmp_path: Path) -> None:
    told = (
        r"holds no image \(left out: a\.txt: no image; cases\.xlsx: .* save it as CSV UTF-8 .*\); is the path right\?"
    )
    with pytest.raises(DatasetError, match=told):
        understand(touch(tmp_path, "a.txt", "cases.xlsx"))


def test_the_pattern_that_is_told_has_the_names_of_the_folder(tmp_path: Path) -> None:
    told = r"--images 'Images/\{case\}\.nii' --label 'labels/\{case\}\.nii'"
    with pytest.raises(DatasetError, match=told):
        understand(touch(tmp_path, "Images/a.nii", "Images/b.nii", "labels/x.nii", "labels/y.nii"))


def test_images_to_predict(tmp_path: Path) -> None:
    account = understand(touch(tmp_path, *of_everyone("{}/T1.nii.gz", "{}/T2.nii.gz")))
    assert account.sequences == ("T1", "T2") and [case.name for case in account.cases] == list(PEOPLE)
    assert all(case.label is None for case in account.cases)
    with pytest.raises(DatasetError, match=r"holds 6 images and no label map by its name \(p01/T1.nii.gz"):
        understand_annotated(tmp_path)


def test_patterns(tmp_path: Path) -> None:
    files = of_everyone("raw/{}-a_x.nii", "raw/{}-b_x.nii", "drawn by JH/{} final.nii")
    account = understand(
        touch(tmp_path, *files, "odd.nii"), "raw/{case}-{sequence}_*.nii", "drawn by */{case} final.nii"
    )
    assert account.sequences == ("a", "b") and [case.name for case in account.cases] == list(PEOPLE)
    assert [(one.file.name, one.why) for one in account.left_out] == [("odd.nii", "fits no pattern")]


def test_a_sign_within_the_names_of_cases(tmp_path: Path) -> None:
    files = [f"s_p{i}_{sequence}.nii" for i in (1, 2) for sequence in ("T1", "T2")]
    labels = ["s_p1_m.nii", "s_p2_m.nii"]
    account = understand(touch(tmp_path, *files, *labels), "{case}_{sequence}.nii", "{case}_m.nii")
    assert [case.name for case in account.cases] == ["s_p1", "s_p2"] and account.sequences == ("T1", "T2")


def test_the_patient_of_the_images_pattern_is_kept(tmp_path: Path) -> None:
    folder = touch(tmp_path, "a/q/p1_T1.nii", "a/q/p2_T1.nii", "masks/p1.nii", "masks/p2.nii")
    account = understand(folder, "a/{patient}/{case}_{sequence}.nii", "masks/{case}.nii")
    assert [case.patient for case in account.cases] == ["q", "q"]


def test_a_field_twice_is_the_same_text(tmp_path: Path) -> None:
    files = of_everyone("{}/{}_T1.nii", "{}/m.nii")
    account = understand(touch(tmp_path, *files, "p01/p02_T1.nii"), "{case}/{case}_{sequence}.nii", "{case}/m.nii")
    assert [one.file.name for one in account.left_out] == ["p02_T1.nii"] and len(account.cases) == 3


@pytest.mark.parametrize(
    ("images", "told"),
    [
        ("{cas}.nii", "'cas' is no field"),
        ("{sequence}.nii", "has no {case}"),
        ("{case.nii", "is no field"),
        ("{}.nii", "is no field"),
        ("{case}/{sequence}_*_*_*_*.nii", "6 fields"),
        ("x/{case}.nii", "fits no file; the folder holds p01.nii"),
    ],
)
def test_wrong_patterns(tmp_path: Path, images: str, told: str) -> None:
    touch(tmp_path, *of_everyone("{}.nii", "{}_seg.nii"))
    with pytest.raises(InputError, match=told):
        understand(tmp_path, images, "{case}_seg.nii")


@pytest.mark.parametrize("numbers", [("200145", "200199", "201277"), tuple(f"20{i:02d}" for i in range(1, 9))])
def test_numbers_that_count_cases_are_no_dates(tmp_path: Path, numbers: tuple[str, ...]) -> None:
    files = [f"knee_{number}{kind}.nii" for number in numbers for kind in ("", "_seg")]
    assert {case.patient for case in understand(touch(tmp_path, *files)).cases} == {None}
