"""pydicom's warnings are kept back in any number of threads, and all others are as they were."""

import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
from pydicom import config, dcmread
from pydicom.valuerep import validate_value

from autoseg.image.dicom.quiet import without_warnings_of_pydicom
from autoseg.image.dicom.read import read_dicom
from tests.autoseg.image.dicom import write


def test_threads_that_overlap_leave_the_filters_as_they_were() -> None:
    before = list(warnings.filters)
    barrier = Barrier(2)

    def first_reads() -> None:
        with without_warnings_of_pydicom():
            barrier.wait(10)
            barrier.wait(10)
            validate_value("UI", "1.x", config.WARN)
        barrier.wait(10)

    def second_reads() -> None:
        barrier.wait(10)
        with without_warnings_of_pydicom():
            barrier.wait(10)
            # the first to enter is the first to leave, which `catch_warnings` cannot bear
            barrier.wait(10)
            validate_value("UI", "1.x", config.WARN)

    with warnings.catch_warnings(record=True) as seen, ThreadPoolExecutor(2) as pool:
        warnings.simplefilter("always")
        for done in [pool.submit(first_reads), pool.submit(second_reads)]:
            done.result()
        assert not seen
        validate_value("UI", "1.x", config.WARN)
        warnings.warn("told too", stacklevel=1)
        assert ["1.x" in str(one.message) for one in seen] == [True, False]
    assert list(warnings.filters) == before


def test_a_file_that_departs_from_the_standard_is_read_in_silence(tmp_path: Path) -> None:
    voxels = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    folder = write.series(tmp_path, write.stack(voxels))
    for file in folder.iterdir():
        content = file.read_bytes()
        # Series Instance UID with its tag, type and length
        series = b"\x20\x00\x0e\x00UI\x1c\x00" + write.SERIES.encode() + b"\0"
        assert content.count(series) == 1
        file.write_bytes(content.replace(series, series[:-2] + b"x\0"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(read_dicom(folder).array, voxels)
    with pytest.warns(UserWarning, match="Invalid value for VR UI"):
        _ = dcmread(file).SeriesInstanceUID
