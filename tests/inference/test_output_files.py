"""An input is not overwritten, by whatever path it or the output is named."""

from pathlib import Path

import pytest

from autoseg.dataset.case import Case
from autoseg.errors import InputError
from inference.output_files import refuse_overwriting

WAYS_TO_SCAN = (
    "real/scan.nii.gz",
    "linked/scan.nii.gz",
    "link_of_link/scan.nii.gz",
    "linked_scan.nii.gz",
    "real/../real/scan.nii.gz",
    "linked/../real/scan.nii.gz",
    "there/scan.nii.gz",
)


@pytest.fixture
def tree(tmp_path, monkeypatch):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "scan.nii.gz").write_bytes(b"image")
    (tmp_path / "linked").symlink_to(tmp_path / "real")
    (tmp_path / "link_of_link").symlink_to("linked")
    (tmp_path / "linked_scan.nii.gz").symlink_to("linked/scan.nii.gz")
    (tmp_path / "there").symlink_to(".")
    (tmp_path / "there" / "scan.nii.gz").symlink_to("real/scan.nii.gz")
    (tmp_path / "loop").symlink_to("loop")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("target", WAYS_TO_SCAN)
@pytest.mark.parametrize("image", WAYS_TO_SCAN)
def test_every_way_to_an_input_is_known(tree, image, target, absolute):
    written = tree / target if absolute else Path(target)
    with pytest.raises(InputError, match="is an input and would be overwritten"):
        refuse_overwriting([Case("a", (Path(image),))], [tree / "free.nii.gz", written])


@pytest.mark.parametrize("image", [*WAYS_TO_SCAN, "loop/scan.nii.gz", "loop", "absent.nii.gz", f"{'n' * 300}.nii.gz"])
def test_other_files_beside_an_input_are_written(tree, image):
    targets = [tree / "real" / "scan_2.nii.gz", tree / "linked" / "b" / "scan.nii.gz", Path("loop") / "c.nii.gz"]
    refuse_overwriting([Case("a", (Path(image),))], [*targets, tree / f"{'m' * 300}.nii.gz"])
