"""The patterns that a refusal names: with them the folder is understood."""

from pathlib import Path

import pytest

from autoseg.dataset.folder.suggest import suggested
from autoseg.dataset.folder.understand import understand, understand_annotated
from autoseg.errors import DatasetError
from tests.autoseg.dataset.folder.test_understand import touch

UNDERSTOOD_BY_PATTERNS = {
    "a word before the number": (
        [f"{folder}/{word}{i:04d}.nii" for i in range(1, 4) for folder, word in (("img", "img"), ("label", "label"))],
        ("img/img{case}.nii", "label/label{case}.nii"),
    ),
    "a word after the number": (
        [name for i in range(3) for name in (f"Data/ISIC_{i}.jpg", f"Data_GroundTruth/ISIC_{i}_segmentation.png")],
        ("Data/ISIC_{case}.jpg", "Data_GroundTruth/ISIC_{case}_segmentation.png"),
    ),
    "folders in the folder of a case": (
        [
            f"{i}/{name}.nii"
            for i in range(3)
            for name in ("Preprocessed_Data/FLAIR_preprocessed", "Preprocessed_Data/T1_preprocessed", "Masks/Consensus")
        ],
        ("{case}/Preprocessed_Data/{sequence}_preprocessed.nii", "{case}/Masks/Consensus.nii"),
    ),
    "another language": (
        [f"Patient {i}/{name}.nii" for i in range(3) for name in ("T1", "Segmentierung")],
        ("{case}/T1.nii", "{case}/Segmentierung.nii"),
    ),
}


@pytest.mark.parametrize("kind", UNDERSTOOD_BY_PATTERNS)
def test_with_what_is_suggested_the_folder_is_understood(tmp_path: Path, kind: str) -> None:
    files, (images, label) = UNDERSTOOD_BY_PATTERNS[kind]
    with pytest.raises(DatasetError) as error:
        understand_annotated(touch(tmp_path, *files))
    assert f"--images '{images}' --label '{label}'" in str(error.value)
    account = understand(tmp_path, images, label)
    assert len(account.cases) == 3 and account.left_out == ()
    assert all(case.label is not None and case.images for case in account.cases)


def test_names_without_anything_in_common_get_the_usual_patterns(tmp_path: Path) -> None:
    paths = [touch(tmp_path, name) / name for name in ("scans/a_T1.nii.gz", "masks/b.nrrd")]
    assert suggested(tmp_path, paths) == ("scans/{case}_{sequence}.nii.gz", "masks/{case}.nii.gz")
