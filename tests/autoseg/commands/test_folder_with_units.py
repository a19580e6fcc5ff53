"""`status`, `cancel` and `work` know a folder of predictions from a RUN folder."""

import pytest

from autoseg.commands.folder_with_units import folder_with_units
from autoseg.errors import RunFolderError
from autoseg.run_folder.predictions_folder import PredictionsFolder
from autoseg.work.prediction_request import write_prediction_request
from tests.autoseg.work.test_prediction_request import request


def test_each_kind_is_known(run, tmp_path):
    assert folder_with_units(run.path) == run
    folder = PredictionsFolder(tmp_path / "out")
    write_prediction_request(folder, request())
    assert folder_with_units(folder.path) == folder
    with pytest.raises(RunFolderError, match="is no RUN folder"):
        folder_with_units(tmp_path)


def test_links_that_lead_out_are_refused(tmp_path):
    folder = PredictionsFolder(tmp_path / "out")
    write_prediction_request(folder, request())
    (tmp_path / "elsewhere").mkdir()
    (folder.work / "logs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunFolderError, match="outside of the RUN folder"):
        folder_with_units(folder.path)
    folder.work.rename(tmp_path / "moved")
    folder.work.symlink_to(tmp_path / "moved")
    with pytest.raises(RunFolderError, match="work: is a link"):
        folder_with_units(folder.path)
    assert folder_with_units(folder.path, follow_links=True) == folder
