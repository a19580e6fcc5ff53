"""What is measured and written beside label maps: agreement, members' label maps, previews, what is skipped."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image as Picture

import autoseg
import inference.ensemble
import inference.outputs
from autoseg.dataset.inputs import read_inputs
from autoseg.disk.csv_files import MOST_CELLS
from autoseg.errors import InputError
from autoseg.image.image import read_label
from autoseg.metrics import count_voxels
from autoseg.plan.plan import read_plan, write_plan
from autoseg.whole_image import member_labels
from inference.case_table import most_rows
from inference.lesion_scores.table import FILE
from inference.measurements.table import MEASUREMENTS
from inference.writers import OutputFormat
from tests.inference.bright_run import predict, run, straight, voxels, write
from tests.words import on_one_line

__all__ = ["run"]


class Above(torch.nn.Module):
    """A network that finds the voxels brighter than a level of the z-score."""

    def __init__(self, level: float) -> None:
        super().__init__()
        self.level = level

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bright = 20 * (x[:, :1] - self.level)
        return torch.cat([-bright, bright], 1)


@pytest.fixture
def differing(run, monkeypatch):
    """The run whose two folds find more and less."""
    levels = {0: -0.05, 1: 0.95}
    monkeypatch.setattr(inference.ensemble, "load_network", lambda r, p, c, fold, d: Above(levels[fold]))
    return run


def inputs(folder: Path, names: str = "a") -> tuple:
    for i, name in enumerate(names):
        write(folder / f"{name}.nii.gz", voxels(i))
    return read_inputs([folder], ("T1",))


def table(folder: Path, file: str = MEASUREMENTS.file) -> pd.DataFrame:
    return pd.read_csv(folder / file)


def label_of(path: Path) -> np.ndarray:
    return read_label(path).array[0]


def test_each_class_of_each_case_is_measured(differing, tmp_path) -> None:
    _, told = predict(differing, inputs(tmp_path / "in", "ab"), tmp_path / "out")
    found = table(tmp_path / "out")
    assert tuple(found.columns) == MEASUREMENTS.columns and found["case"].tolist() == ["a", "b"]
    for row in found.itertuples():
        label = label_of(tmp_path / "out" / f"{row.case}.nii.gz")
        assert row.voxels == (label == 500).sum() and row.volume_ml == pytest.approx(row.voxels / 1000, rel=1e-4)
        assert row.components >= 1 and 0.5 < row.mean_probability <= 1
        assert row.largest_diameter_mm >= row.axial_diameter_mm > 0
    assert "Measurements: " in told


def test_the_agreement_is_the_dice_of_what_each_fold_predicts_alone(differing, tmp_path) -> None:
    cases = inputs(tmp_path / "in")
    predict(differing, cases, tmp_path / "out", save_members=True)
    alone = []
    for fold in (0, 1):
        _, told = predict(differing, cases, tmp_path / f"fold_{fold}", folds=(fold,))
        alone.append(label_of(tmp_path / f"fold_{fold}" / "a.nii.gz"))
        np.testing.assert_array_equal(label_of(tmp_path / "out" / "members" / f"3d_{fold}" / "a.nii.gz"), alone[-1])
        assert table(tmp_path / f"fold_{fold}")["agreement"].isna().all() and told.count("a single fold predicts") == 1
    dice = count_voxels(alone[0] > 0, alone[1] > 0).dice
    assert 0 < dice < 1
    assert table(tmp_path / "out").loc[0, "agreement"] == pytest.approx(dice, abs=1e-3)


def test_label_maps_are_the_same_with_and_without_agreement(differing, tmp_path) -> None:
    cases = inputs(tmp_path / "in")
    for name, asked in (("with", True), ("without", False)):
        predict(differing, cases, tmp_path / name, agreement=asked, save_probabilities=True)
    files = [path.relative_to(tmp_path / "with") for path in (tmp_path / "with").rglob("*.nii.gz")]
    assert len(files) == 3
    for file in files:
        assert (tmp_path / "with" / file).read_bytes() == (tmp_path / "without" / file).read_bytes()
    assert table(tmp_path / "with")["agreement"].notna().all()
    assert table(tmp_path / "without")["agreement"].isna().all()


def test_where_memory_is_short_that_is_told_and_the_rest_is_there(differing, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(member_labels, "free_memory", lambda: 1000)
    problems, told = predict(differing, inputs(tmp_path / "in"), tmp_path / "out")
    assert problems == () and "the memory does not hold a label map of each fold" in told
    assert table(tmp_path / "out")["agreement"].isna().all() and (tmp_path / "out" / "a.nii.gz").exists()


def test_lesions_have_their_diameters_and_agreement(differing, tmp_path) -> None:
    write_plan(differing.plan, read_plan(differing.plan).changed(lesions=("bright",)), {})
    array = np.full(straight().shape, 50, np.float32)
    array[2:5, 2:6, 2:12] = 150
    array[12:14, 12:15, 14:20] = 150
    write(tmp_path / "in" / "a.nii.gz", array)
    predict(differing, read_inputs([tmp_path / "in"], ("T1",)), tmp_path / "out")
    found = table(tmp_path / "out", FILE)
    assert found["voxels"].tolist() == [120, 36]
    # from the middle of the face at one end to that of the voxel in the opposite corner
    assert found["axial_diameter_mm"].tolist() == pytest.approx([np.hypot(10, 3), np.hypot(6, 2)], abs=0.01)
    assert (found["largest_diameter_mm"] > found["axial_diameter_mm"]).all()
    assert found["agreement"].tolist() == [1.0, 1.0], "both folds find these"
    row = table(tmp_path / "out").iloc[0]
    assert row["components"] == 2 and row["largest_diameter_mm"] == found["largest_diameter_mm"].max()


def test_the_last_line_tells_what_to_check_first_and_why(differing, tmp_path) -> None:
    inputs(tmp_path / "in", "ab")
    write(tmp_path / "in" / "far.nii.gz", voxels(2) + 1000)
    cases = read_inputs([tmp_path / "in"], ("T1",))
    _, told = predict(differing, cases, tmp_path / "out")
    last = on_one_line(told[told.rindex("Check first") :])
    assert last.startswith("Check first: far (folds agree ") and "unlike the training cases" in last
    assert last.index("far") < last.index("b (folds agree") and last.index("far") < last.index("a (folds agree")
    notes = table(tmp_path / "out").set_index("case")["notes"]
    assert "intensities of T1 lie between" in notes["far"] and notes[["a", "b"]].isna().all()


def test_an_empty_prediction_of_what_every_training_case_has_is_named(run, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(inference.ensemble, "load_network", lambda *arguments: Above(99.0))
    _, told = predict(run, inputs(tmp_path / "in"), tmp_path / "out")
    assert "Check first: a (no bright, which every training case has)" in told
    row = table(tmp_path / "out").iloc[0]
    assert row["voxels"] == 0 and row[["largest_diameter_mm", "mean_probability", "agreement"]].isna().all()


def test_an_interrupted_prediction_goes_on(run, tmp_path, monkeypatch) -> None:
    array = np.full(straight().shape, 50, np.float32)
    array[6:12, 5:15, 8:14] = 150
    for name in "abc":
        write(tmp_path / "in" / f"{name}.nii.gz", array)
    cases = read_inputs([tmp_path / "in"], ("T1",))
    real = inference.outputs.post_processed
    seen = []

    def interrupted(*arguments):
        seen.append(1)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(inference.outputs, "post_processed", interrupted)
    with pytest.raises(KeyboardInterrupt):
        predict(run, cases, tmp_path / "out", mirror=False, skip_existing=True)
    assert [path.name for path in (tmp_path / "out").glob("*.nii.gz")] == ["a.nii.gz"]
    first = (tmp_path / "out" / "a.nii.gz").stat().st_mtime_ns
    _, told = predict(run, cases, tmp_path / "out", mirror=False, skip_existing=True)
    assert "1 of 3 are predicted already" in told and len(seen) == 4
    assert (tmp_path / "out" / "a.nii.gz").stat().st_mtime_ns == first
    assert sorted(table(tmp_path / "out")["case"]) == ["a", "b", "c"]
    _, told = predict(run, cases, tmp_path / "out", mirror=False, skip_existing=True)
    assert "3 of 3 are predicted already" in told and len(seen) == 4
    found = table(tmp_path / "out").replace({"agreement": 1.0}, 0.25)
    found.to_csv(tmp_path / "out" / MEASUREMENTS.file, index=False)
    _, told = predict(run, cases, tmp_path / "out", mirror=False, skip_existing=True)
    assert "a (folds agree 0.25" in told, "a case that was left as it is has its place in the order"
    predict(run, cases, tmp_path / "out", mirror=False, skip_existing=True, preview=True)
    assert len(seen) == 7, "previews were not there"


@pytest.mark.parametrize("colour", ["#E69F00", "#AA00C8"])
def test_a_preview_shows_three_planes_with_what_was_found_in_its_colour(run, tmp_path, colour) -> None:
    codes = None
    if colour != "#E69F00":
        codes = tmp_path / "codes.csv"
        names = ",".join(f"{kind}_{part}" for kind in ("category", "type") for part in ("scheme", "code", "meaning"))
        codes.write_text(f"name,{names},colour\nbright,SCT,1,One,SCT,2,Two,{colour}\n", encoding="utf-8")
    array = np.full(straight().shape, 50, np.float32)
    array[6:12, 5:15, 8:14] = 150
    write(tmp_path / "in" / "a.nii.gz", array)
    flat = np.full(straight().shape, 50, np.float32)
    flat[:2] = 51
    write(tmp_path / "in" / "cost in $.nii.gz", flat)
    problems, _ = predict(
        run,
        read_inputs([tmp_path / "in"], ("T1",)),
        tmp_path / "out",
        preview=True,
        mirror=False,
        output_format=OutputFormat(codes=codes),
    )
    assert problems == ()
    assert colour in (tmp_path / "out" / "labels.json").read_text(encoding="utf-8")
    with Picture.open(tmp_path / "out" / "preview" / "a.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    thirds = np.array_split(pixels, 3, axis=1)
    stated = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    outlined = [(np.abs(third - stated).max(axis=-1) < 30).sum() for third in thirds]
    assert min(outlined) > 20, "the outline is in every plane"
    assert (tmp_path / "out" / "preview" / "cost in $.png").stat().st_size > 1000


def test_what_is_written_beside_overwrites_no_input(run, tmp_path) -> None:
    image = write(tmp_path / "out" / "members" / "3d_0" / "a.nii.gz", voxels())
    with pytest.raises(InputError, match="is an input and would be overwritten"):
        predict(run, read_inputs([image], ("T1",)), tmp_path / "out", save_members=True)
    (tmp_path / "out" / MEASUREMENTS.file).write_text("mine\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"measurements\.csv.*move it away"):
        predict(run, read_inputs([image], ("T1",)), tmp_path / "out")


def test_the_command_has_the_options(run, tmp_path, capsys) -> None:
    inputs(tmp_path / "in", "a")
    for _ in range(2):
        autoseg.predict(
            run.path,
            tmp_path / "in",
            tmp_path / "out",
            device="cpu",
            save_members=True,
            agreement=True,
            preview=True,
            skip_existing=True,
        )
    assert "1 of 1 are predicted already" in on_one_line(capsys.readouterr().err)
    found = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert found == {
        "a.nii.gz",
        "labels.json",
        "labels_itksnap.txt",
        "measurements.csv",
        "members/3d_0/a.nii.gz",
        "members/3d_1/a.nii.gz",
        "preview/a.png",
    }


def test_without_agreement_none_is_measured_beside_the_folds_label_maps(differing, tmp_path) -> None:
    predict(differing, inputs(tmp_path / "in"), tmp_path / "out", agreement=False, save_members=True)
    assert table(tmp_path / "out")["agreement"].isna().all()
    assert (tmp_path / "out" / "members" / "3d_1" / "a.nii.gz").exists()


def test_label_maps_of_folds_that_memory_does_not_hold_are_told_and_removed(differing, tmp_path, monkeypatch) -> None:
    cases = inputs(tmp_path / "in")
    predict(differing, cases, tmp_path / "out", save_members=True)
    monkeypatch.setattr(member_labels, "free_memory", lambda: 1000)
    _, told = predict(differing, cases, tmp_path / "out", save_members=True)
    assert "members/3d_0, members/3d_1 not written: the memory does not hold them" in on_one_line(told)
    assert not list((tmp_path / "out" / "members").rglob("*.nii.gz"))


def test_probabilities_that_were_broken_off_are_written_anew(run, tmp_path, monkeypatch) -> None:
    cases, real, calls = inputs(tmp_path / "in"), inference.outputs.write_image, []

    def broken(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(*arguments)

    predict(run, cases, tmp_path / "out")
    monkeypatch.setattr(inference.outputs, "write_image", broken)
    options = {"save_probabilities": True, "skip_existing": True}
    with pytest.raises(KeyboardInterrupt):
        predict(run, cases, tmp_path / "out", **options)
    assert table(tmp_path / "out").empty, "its rows spoke of files that are replaced"
    _, told = predict(run, cases, tmp_path / "out", **options)
    assert "0 of 1 are predicted already" in told and len(calls) == 4
    assert "1 of 1 are predicted already" in predict(run, cases, tmp_path / "out", **options)[1]


@pytest.mark.parametrize("folder", ["members", "preview", "probabilities"])
def test_a_file_where_a_folder_is_needed_is_told_before_loading(run, tmp_path, monkeypatch, folder) -> None:
    monkeypatch.setattr("inference.predict.load_group", None)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / folder).write_text("mine", encoding="utf-8")
    options = {"save_members": True, "preview": True, "save_probabilities": True}
    with pytest.raises(InputError, match=f"{folder}: is no folder"):
        predict(run, inputs(tmp_path / "in"), tmp_path / "out", **options)


def test_a_picture_of_others_is_no_preview(run, tmp_path) -> None:
    cases, picture = inputs(tmp_path / "in"), tmp_path / "out" / "preview" / "a.png"
    picture.parent.mkdir(parents=True)
    Picture.new("L", (9, 9)).save(picture)
    with pytest.raises(InputError, match=r"a\.png: is no preview by autoseg; move it away"):
        predict(run, cases, tmp_path / "out", preview=True)
    picture.unlink()
    for _ in range(2):
        assert predict(run, cases, tmp_path / "out", preview=True)[0] == ()


def test_rows_that_a_table_could_not_be_read_with_are_left_out_and_told(run, tmp_path, monkeypatch) -> None:
    assert (most_rows(MEASUREMENTS) + 1) * len(MEASUREMENTS.columns) <= MOST_CELLS
    monkeypatch.setattr("inference.case_table.most_rows", lambda kind: 1)
    monkeypatch.setattr("inference.predict.most_rows", lambda kind: 1)
    problems, told = predict(run, inputs(tmp_path / "in", "ab"), tmp_path / "out")
    assert problems == () and "rows of b are left out: 1 rows are read at most" in on_one_line(told)
    assert table(tmp_path / "out")["case"].tolist() == ["a"]


def test_the_agreement_on_very_many_lesions_is_not_measured_and_that_is_told(differing, tmp_path, monkeypatch) -> None:
    write_plan(differing.plan, read_plan(differing.plan).changed(lesions=("bright",)), {})
    array = np.full(straight().shape, 50, np.float32)
    array[2:5, 2:6, 2:12] = array[12:14, 12:15, 14:20] = 150
    write(tmp_path / "in" / "a.nii.gz", array)
    monkeypatch.setattr("inference.measurements.lesions.MOST_COMPARED", 1)
    _, told = predict(differing, read_inputs([tmp_path / "in"], ("T1",)), tmp_path / "out")
    assert "2 predicted lesions of bright; the agreement on each is measured up to 1" in on_one_line(told)
    assert table(tmp_path / "out", FILE)["agreement"].isna().all()
    assert table(tmp_path / "out")["agreement"].notna().all()


def test_the_prediction_of_another_image_of_the_same_name_is_not_replaced(run, tmp_path) -> None:
    one, other = (inputs(tmp_path / folder) for folder in ("one", "other"))
    for _ in range(2):
        predict(run, one, tmp_path / "out", mirror=False)
    written = tmp_path / "out" / "a.nii.gz"
    before = written.stat().st_mtime_ns
    with pytest.raises(InputError, match=r"another image that is called a too: .*one.*, and now .*other"):
        predict(run, other, tmp_path / "out", mirror=False)
    assert written.stat().st_mtime_ns == before


def test_an_image_is_the_same_whatever_way_leads_to_it(run, tmp_path, monkeypatch) -> None:
    inputs(tmp_path / "in")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    (tmp_path / "link").symlink_to(tmp_path / "in")
    for folder in (Path("..", "in"), tmp_path / "in", tmp_path / "link"):
        problems, told = predict(run, read_inputs([folder], ("T1",)), tmp_path / "out", skip_existing=True)
        assert problems == ()
    assert "1 of 1 are predicted already" in told
