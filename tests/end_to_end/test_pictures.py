"""Pictures from raw files to predictions in PNG; images of one slice in other formats."""

import re
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image as pillow

import autoseg
from autoseg.dataset.fingerprint import read_fingerprint
from autoseg.errors import InputError, PartialFailure, PlanError
from autoseg.image.image import Image, read_image, write_image
from autoseg.plan.plan import read_plan, read_reasons
from autoseg.run_folder.paths import RunFolder
from tests.autoseg.dataset import build
from tests.autoseg.dataset.draw_pictures import disc, folder, nnunet, save

CASES = 12


def few_steps(run: Path) -> None:
    plan = run / "plan.yaml"
    text, edits = re.subn(r"(iterations_per_epoch: )\d+", r"\g<1>3", plan.read_text(encoding="utf-8"))
    assert edits
    plan.write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A data set of colours in nnU-Net's layout, and its RUN, planned by default and trained for a few steps."""
    base = tmp_path_factory.mktemp("pictures")
    data, run = nnunet(base / "data", CASES), base / "run"
    autoseg.plan_and_preprocess(data, run, device="cpu", time_budget="2m", threads=1, workers=1)
    few_steps(run)
    autoseg.train(run, fold=0, epochs=1, device="cpu", threads=1, workers=0)
    return data, run


@pytest.mark.slow
def test_they_are_planned_as_2d_over_their_own_plane(trained: tuple[Path, Path]) -> None:
    folder_of_run = RunFolder(trained[1])
    plan, reasons = read_plan(folder_of_run.plan), read_reasons(folder_of_run.plan)
    assert list(plan.configurations) == ["2d"]
    planned = plan.configuration("2d")
    assert planned.slice_axis == 0 and planned.patch_size[0] == 1 and min(planned.patch_size[1:]) >= 16
    assert planned.training.rotation[1:] == (0.0, 0.0), "turned in the plane alone"
    assert 0 not in (*planned.training.mirror, *planned.prediction.mirror)
    assert [channel.normalization for channel in plan.channels] == ["rgb_to_0_1"] * 3
    assert "divided by 255" in reasons["channels"] and "axis of one voxel" in reasons["configurations.2d.slice_axis"]
    assert read_fingerprint(folder_of_run.fingerprint).pixel_spacing == (1.0, 1.0)
    assert folder_of_run.is_finished("2d", 0)


@pytest.mark.slow
def test_predictions_are_png_with_the_values_of_the_labels(
    trained: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, run = trained
    autoseg.predict(run, data / "imagesTr", tmp_path / "out", device="cpu", threads=1, save_probabilities=True)
    label = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / "p0.png")))
    assert label.shape == (48, 64) and set(np.unique(label)) <= {0, 1}
    assert len(list((tmp_path / "out").glob("*.png"))) == CASES
    probability = nibabel.load(tmp_path / "out" / "probabilities" / "p0" / "label_1.nii.gz").get_fdata()
    assert probability.shape == (64, 48, 1) and 0 <= probability.min() <= probability.max() <= 1
    autoseg.evaluate(data / "labelsTr", tmp_path / "out", tmp_path / "report", images=data / "imagesTr")
    assert (tmp_path / "report" / "report.html").read_text(encoding="utf-8").count("the whole picture") >= 3
    # one that states another size than the models learned is told, and read as they were
    photo = save(tmp_path / "photo.png", disc(50)[0], dpi=(508, 508))
    capsys.readouterr()
    autoseg.predict(run, photo, tmp_path / "one", device="cpu", threads=1)
    told = " ".join(capsys.readouterr().err.split())
    assert "it states 0.05 mm a pixel, and 1 mm is taken" in told
    assert pillow.open(tmp_path / "one" / "photo.png").size == (64, 48)


@pytest.mark.slow
def test_pictures_that_do_not_fit_are_refused_by_name(trained: tuple[Path, Path], tmp_path: Path) -> None:
    both = save(tmp_path / "deep.png", disc(0, colour=False)[0].astype(np.uint16) * 200)
    with pytest.raises(PartialFailure, match=r"deep\.png: is grey with values up to .*save it as 8-bit RGB"):
        autoseg.predict(trained[1], both, tmp_path / "out", device="cpu", threads=1)


@pytest.mark.slow
def test_a_given_size_is_kept_for_new_pictures(tmp_path: Path) -> None:
    data, run = folder(tmp_path / "data", 3, colour=False), tmp_path / "run"
    plan = autoseg.plan_and_preprocess(
        data, run, spacing=(0.5, 0.25), device="cpu", time_budget="1m", threads=1, workers=1
    )
    assert read_fingerprint(RunFolder(run).fingerprint).pixel_spacing == (0.5, 0.25)
    assert plan.configuration("2d").median_shape[0] == 1 and [c.normalization for c in plan.channels] == ["z_score"]
    few_steps(run)
    autoseg.train(run, fold=0, epochs=1, device="cpu", threads=1, workers=0)
    # the same command goes on, without and with the size
    autoseg.plan_and_preprocess(data, run, device="cpu", threads=1, workers=1)
    autoseg.predict(run, data / "images" / "p0.png", tmp_path / "out", device="cpu", threads=1)
    assert pillow.open(tmp_path / "out" / "p0.png").info["dpi"] == pytest.approx((101.6, 50.8), rel=1e-3)


@pytest.mark.parametrize("spacing", [0, -1, float("nan"), 1000, (1, 2, 3), ()])
def test_sizes_that_no_pixel_has_are_refused(spacing: object, tmp_path: Path) -> None:
    data = folder(tmp_path / "data", 3)
    with pytest.raises(InputError, match="--spacing"):
        autoseg.plan_and_preprocess(data, tmp_path / "run", spacing=spacing, plan_only=True, device="cpu")


def single_slices(write: Callable[[Path, np.ndarray], None], path: Path, ending: str) -> Path:
    for i in range(3):
        picture, mask = disc(i, colour=False)
        for part, array in (("images", picture.astype(np.float32)), ("labels", mask.astype(np.uint8))):
            (path / part).mkdir(parents=True, exist_ok=True)
            write(path / part / f"p{i}{ending}", array)
    return path


def by_nibabel(path: Path, array: np.ndarray, *, axes: int = 3) -> None:
    voxels = array.T if axes == 2 else array.T[..., None]
    image = nibabel.Nifti1Image(voxels, np.diag([-1.1, -1.1, 1.0, 1.0]))
    nibabel.save(image, path)


def by_itk(path: Path, array: np.ndarray) -> None:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((1.1, 1.1))
    sitk.WriteImage(image, str(path))


@pytest.mark.parametrize(
    ("write", "ending"),
    [
        (by_nibabel, ".nii.gz"),
        (lambda path, array: by_nibabel(path, array, axes=2), ".nii.gz"),
        (by_itk, ".nrrd"),
        (by_itk, ".mha"),
    ],
)
def test_images_of_one_slice_are_planned_as_2d_by_default(write, ending: str, tmp_path: Path) -> None:
    data = single_slices(write, tmp_path / "data", ending)
    plan = autoseg.plan_and_preprocess(
        data, tmp_path / "run", plan_only=True, device="cpu", time_budget="1m", threads=1
    )
    assert list(plan.configurations) == ["2d"]
    planned = plan.configuration("2d")
    assert planned.slice_axis == 0 and planned.spacing[0] is None and planned.patch_size[0] == 1


def test_single_images_of_dicom_are_planned_as_2d_by_default(tmp_path: Path) -> None:
    rows = ["case,MR,label"]
    for i in range(3):
        picture, mask = disc(i, colour=False)
        build.dicom(tmp_path / f"scan{i}", picture[None].astype(np.int16))
        image = read_image(tmp_path / f"scan{i}")
        write_image(tmp_path / f"label{i}.nii.gz", Image(mask[None, None].astype(np.uint8), image.geometry))
        rows.append(f"p{i},scan{i},label{i}.nii.gz")
    (tmp_path / "cases.csv").write_text("\n".join(rows), encoding="utf-8")
    plan = autoseg.plan_and_preprocess(
        tmp_path, tmp_path / "run", plan_only=True, device="cpu", time_budget="1m", threads=1
    )
    planned = plan.configuration("2d")
    assert list(plan.configurations) == ["2d"] and planned.patch_size[planned.slice_axis or 0] == 1


def test_3d_is_refused_for_pictures_where_it_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="one voxel thick along z; add --config 2d"):
        autoseg.plan_and_preprocess(folder(tmp_path / "data", 3), tmp_path / "run", config="3d", device="cpu")


def test_spacing_is_no_option_of_volumes(tmp_path: Path) -> None:
    data = single_slices(by_nibabel, tmp_path / "data", ".nii.gz")
    with pytest.raises(InputError, match="--spacing: is for PNG, TIFF, JPEG and BMP alone"):
        autoseg.plan_and_preprocess(data, tmp_path / "run", spacing=1, plan_only=True, device="cpu")
