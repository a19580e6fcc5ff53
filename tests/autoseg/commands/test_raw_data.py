"""Which channels are CT is found when a data set is first read, told, kept, and changed by --ct alone."""

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from autoseg.commands.raw_data import Read, read_and_check
from autoseg.errors import InputError
from autoseg.run_folder.dataset_record import write_record
from autoseg.run_folder.paths import RunFolder
from tests.autoseg.dataset import build


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """CT images whose channel has another name."""
    folder = build.nnunet(tmp_path / "scans", channels=("portal",))
    for i, image in enumerate((folder / "imagesTr").iterdir()):
        build.write(image, np.rint(build.voxels(i)) - 1100)
    return folder


def read(scans: Path, run: RunFolder, ct: list[str] | None = None) -> tuple[Read, str]:
    out = io.StringIO()
    found = read_and_check(scans, run, ct=ct, workers=1, trust_times=False, console=Console(file=out, width=300))
    write_record(run, found.record)
    return found, out.getvalue()


def test_found_told_and_kept(scans: Path, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    found, told = read(scans, run)
    assert found.dataset.ct == found.record.ct == (True,)
    assert "channel portal is taken for CT: 5 of 5 images" in told
    again, _ = read(scans, run)
    assert again.changed == () and again.dataset.ct == (True,)
    other, told = read(scans, run, ct=["none"])
    assert len(other.changed) == 5 and other.dataset.ct == (False,)
    assert "channel portal is not taken for CT, although 5 of 5" in told
    kept, _ = read(scans, run)
    assert kept.changed == () and kept.dataset.ct == (False,)


def test_no_such_channel(scans: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--ct late: there is no such channel; there are portal, or none"):
        read(scans, RunFolder(tmp_path / "run"), ct=["late"])
