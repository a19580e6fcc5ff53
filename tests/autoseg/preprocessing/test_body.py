"""The box around a body: a ball in air, whatever the modality, the field of view and the noise; real patients."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray

from autoseg.image.image import read_image
from autoseg.preprocessing.body import body_box, otsu_threshold

CENTRE, RADII = (20, 70, 60), (14, 50, 30)


def ellipsoid(shape: tuple[int, int, int] = (40, 140, 120)) -> NDArray[np.bool_]:
    grid = np.indices(shape)
    return sum(((g - c) / r) ** 2 for g, c, r in zip(grid, CENTRE, RADII, strict=True)) <= 1


def expected_box() -> NDArray[np.int64]:
    centre, radii = np.array(CENTRE), np.array(RADII)
    return np.array([centre - radii, centre + radii + 1])


def mr(rng: np.random.Generator) -> NDArray[np.float32]:
    """Signal that fades to a fifth across the body, as a surface coil makes it, in Rician noise."""
    body = ellipsoid()
    fading = np.linspace(1, 0.2, body.shape[1])[:, None]
    noise = rng.normal(0, 12, (2, *body.shape))
    return np.hypot(400 * body * fading + noise[0], noise[1]).astype(np.float32)


def ct(rng: np.random.Generator) -> NDArray[np.float32]:
    """Hounsfield units, with a thin table below the body and lungs within."""
    body = ellipsoid()
    image = np.where(body, 40.0, -1000.0)
    image[15:25, 50:80, 45:75] = -800
    image[:, 130:132, 10:110] = 100
    return (image + rng.normal(0, 15, body.shape)).astype(np.float32)


def padded_ct(rng: np.random.Generator) -> NDArray[np.float32]:
    """The same with padding outside of the circle that was scanned, far below air."""
    image = ct(rng)
    _, y, x = np.indices(image.shape)
    image[((y - 70) / 70) ** 2 + ((x - 60) / 60) ** 2 > 1] = -3024
    return image


@pytest.mark.parametrize("kind", [mr, ct, padded_ct])
def test_a_body_in_air_is_found(kind) -> None:
    box = np.array(body_box(kind(np.random.default_rng(0))[None], (True,)))
    # images of more than 128 voxels along an axis are looked at in steps, and a thin end may be opened away
    assert np.abs(box - expected_box()).max() <= 5


@pytest.mark.parametrize("share", [0.5, 0.1, 0.9])
def test_the_threshold_is_simpleitks(share: float) -> None:
    rng = np.random.default_rng(2)
    dark = rng.random((30, 40, 50)) < share
    values = np.where(dark, rng.gamma(2, 0.05, dark.shape), rng.normal(0.7, 0.1, dark.shape)).astype(np.float32)
    judge = sitk.OtsuThresholdImageFilter()
    judge.SetNumberOfHistogramBins(256)
    judge.Execute(sitk.GetImageFromArray(values))
    assert otsu_threshold(values) == pytest.approx(judge.GetThreshold(), abs=float(2 * np.ptp(values) / 256))


def test_absent_channels_do_not_count() -> None:
    image = mr(np.random.default_rng(1))
    alone = body_box(image[None], (True,))
    assert body_box(np.stack([np.full_like(image, 7), image]), (False, True)) == alone


def test_an_image_without_contrast_is_whole() -> None:
    assert body_box(np.full((1, 6, 7, 8), 3, np.float32), (True,)) == ((0, 0, 0), (6, 7, 8))


def test_real_patients_fill_their_box(test_data: Path) -> None:
    """Of what SimpleITK's Otsu marks in a smoothed image, nearly all lies within the box."""
    for file in sorted((test_data / "abdomen20" / "imagesTr").glob("*.nii.gz"))[:4]:
        image = read_image(file).array
        lower, upper = body_box(image.astype(np.float32), (True,))
        smoothed = sitk.SmoothingRecursiveGaussian(sitk.GetImageFromArray(np.sqrt(np.maximum(image[0], 0))), 2.0)
        marked = sitk.GetArrayFromImage(sitk.OtsuThreshold(smoothed, 0, 1)) > 0
        inside = marked[tuple(slice(a, b) for a, b in zip(lower, upper, strict=True))]
        assert inside.sum() > 0.99 * marked.sum()
        assert inside.mean() > 0.4
