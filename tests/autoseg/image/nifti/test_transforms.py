"""Which of two transforms is taken, in which unit, and what is told of the other: beside nibabel's own affine."""

import re
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from autoseg.errors import ImageError
from autoseg.image.geometry import Geometry
from autoseg.image.image import read_geometry, read_image, read_label
from tests.autoseg.image.nifti import files

CORNERS = np.array(np.meshgrid(*[(0, n - 1) for n in files.SHAPE], indexing="ij")).reshape(3, -1).T
T = files.moved(7, -11, 5)
UNITS = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}


def places(geometry: Geometry) -> np.ndarray:
    """RAS of the corner voxels, by their index (x, y, z)."""
    return geometry.to_world(CORNERS[:, ::-1].astype(float)) * [-1, -1, 1]


def by(affine: np.ndarray) -> np.ndarray:
    return nib.affines.apply_affine(affine, CORNERS)


@st.composite
def transforms(draw: st.DrawFn) -> np.ndarray:
    """Turned, flipped and permuted axes, without shear."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    turn = Rotation.random(rng=rng).as_matrix() if draw(st.booleans()) else np.eye(3)[draw(st.permutations(range(3)))]
    found = np.eye(4)
    found[:3, :3] = turn * draw(st.tuples(*[st.sampled_from((-1, 1))] * 3)) * rng.uniform(0.1, 6, 3)
    found[:3, 3] = rng.normal(0, 100, 3)
    return found


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    sform=transforms(),
    qform=transforms(),
    codes=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    unit=st.sampled_from((0, 2, 3)),
    time=st.sampled_from((0, 8, 16, 24)),
    version=st.sampled_from((1, 2)),
    order=st.sampled_from("<>"),
    packed=st.booleans(),
)
def test_random_headers_as_nibabel_places_them(
    sform: np.ndarray,
    qform: np.ndarray,
    codes: tuple[int, int],
    unit: int,
    time: int,
    version: int,
    order: str,
    packed: bool,
) -> None:
    made = files.header(
        sform=(sform, codes[0]),
        qform=(qform, codes[1]),
        version=version,
        order=order,
        fields={"xyzt_units": unit | time},
    )
    with tempfile.TemporaryDirectory() as folder:
        path = files.write(Path(folder) / ("a.nii.gz" if packed else "a.nii"), files.voxels(), made)
        expected = nib.load(path)
        found = read_image(path)
        np.testing.assert_allclose(places(found.geometry), by(expected.affine) * UNITS[unit], rtol=1e-6, atol=1e-4)
        np.testing.assert_array_equal(found.array[0], expected.get_fdata(dtype=np.float32).T)
        assert read_geometry(path) == (found.geometry, 1)
        # images and label maps follow one rule
        assert read_label(path).geometry == found.geometry
    apart = np.linalg.norm(by(sform) - by(qform), axis=1).max() * UNITS[unit]
    told = [float(said[1]) for note in found.notes if (said := re.search(r"up to (\S+) mm apart", note))]
    # by hypothesis the two may be one
    assert told == ([pytest.approx(apart, rel=0.01)] if min(codes) > 0 and apart > 0 else [])
    assert any("nothing of its place" in note for note in found.notes) == (codes == (0, 0))


@pytest.mark.parametrize("codes", [(1, 1), (2, 1), (4, 1), (1, 2)])
def test_a_shift_between_the_two_is_told_in_millimetres(tmp_path: Path, codes: tuple[int, int]) -> None:
    made = files.header(sform=(T @ files.affine(), codes[0]), qform=(files.affine(), codes[1]))
    found = read_image(files.write(tmp_path / "a.nii", files.voxels(), made))
    np.testing.assert_allclose(places(found.geometry), by(T @ files.affine()))
    # the length of (7, -11, 5)
    assert "set both transforms alike" in found.notes[0]
    assert len(found.notes) == 1 and f"14 mm apart: taken is the sform (code {codes[0]})" in found.notes[0]
    assert found.others[0].origin == (-10.0, 20.0, 30.0)


def test_left_and_right_mirrored_between_the_two(tmp_path: Path) -> None:
    mirrored = np.diag([-1, 1, 1, 1]) @ files.affine()
    made = files.header(sform=(mirrored, 2), qform=(files.affine(), 1))
    found = read_image(files.write(tmp_path / "a.nii", files.voxels(), made))
    assert "axes along SAL and SAR" in found.notes[0]


def test_rounding_between_the_two_is_not_told(tmp_path: Path) -> None:
    made = files.header(sform=(files.moved(0.01, 0, 0) @ files.affine(), 1), qform=(files.affine(), 1))
    found = read_image(files.write(tmp_path / "a.nii", files.voxels(), made))
    assert found.notes == () and found.others == ()


def test_a_spacing_that_the_sform_contradicts_is_told(tmp_path: Path) -> None:
    made = files.header(sform=(files.affine(), 1))
    made["pixdim"][3] = 4
    found = read_image(files.write(tmp_path / "a.nii", files.voxels(), made))
    assert found.geometry.spacing == (3.0, 1.5, 1.0)
    assert "pixdim says that a voxel has 1 × 1.5 × 4 mm (x, y, z), its sform 1 × 1.5 × 3" in found.notes[0]


def test_microns_are_converted_whole_and_told(tmp_path: Path) -> None:
    made = files.header(sform=(files.affine((20, 20, 50), (1000, -2000, 3000)), 1), fields={"xyzt_units": 3})
    found = read_image(files.write(tmp_path / "a.nii", files.voxels(), made))
    assert found.geometry.spacing == pytest.approx((0.05, 0.02, 0.02))
    assert found.geometry.origin == pytest.approx((-1, 2, 3))
    assert "unit is micron, converted to mm: a voxel has 0.02 × 0.02 × 0.05 mm (x, y, z)" in found.notes[0]


def test_metres_are_converted_whole_and_numbers_in_mm_called_metres_refused(tmp_path: Path) -> None:
    made = files.header(sform=(files.affine((0.001, 0.0015, 0.003), (0.1, -0.2, 0.3)), 1), fields={"xyzt_units": 1})
    geometry = read_image(files.write(tmp_path / "a.nii", files.voxels(), made)).geometry
    assert geometry.spacing == pytest.approx((3, 1.5, 1)) and geometry.origin == pytest.approx((-100, 200, 300))
    made = files.header(sform=(files.affine(), 1), fields={"xyzt_units": 1})
    with pytest.raises(ImageError, match=r"a\.nii: .*1000 × 1500 × 3000 mm .*correct the header, or its unit"):
        read_image(files.write(tmp_path / "a.nii", files.voxels(), made))
    made["xyzt_units"] = 5
    with pytest.raises(ImageError, match=r"a\.nii: .*unit of length has the code 5"):
        read_image(files.write(tmp_path / "a.nii", files.voxels(), made))


@pytest.mark.parametrize("field", ["srow_y", "quatern_c", "qoffset_z"])
@pytest.mark.parametrize("both", [True, False])
def test_nan_in_a_transform_is_told_as_such(tmp_path: Path, field: str, both: bool) -> None:
    kind, other = ("sform", "qform") if field.startswith("srow") else ("qform", "sform")
    made = files.header(**{kind: (files.affine(), 1)} | ({other: (files.affine(), 1)} if both else {}))
    made[field] = np.nan
    path = files.write(tmp_path / "a.nii", files.voxels(), made)
    if both and kind == "qform":
        # the sform is taken and sound
        assert "its qform holds NaN or is no transform" in read_image(path).notes[0]
        return
    cure = "set its sform_code to 0 to go by the qform" if both else "export it again"
    for read in (read_image, read_geometry, read_label):
        with pytest.raises(ImageError, match=rf"a\.nii: .*its {kind} holds NaN or is no transform; {cure}"):
            read(path)


def test_a_rotation_that_was_rounded_is_read(tmp_path: Path) -> None:
    made = files.header(qform=(np.diag([-1.0, 1.0, -1.0, 1.0]), 1), fields={"quatern_c": 1.00001})
    found = read_image(files.write(tmp_path / "a.nii", files.voxels(), made))
    np.testing.assert_allclose(places(found.geometry), by(np.diag([-1.0, 1.0, -1.0, 1.0])), atol=1e-6)


@pytest.mark.parametrize("zooms", [(0, 1, 1), (np.nan, 1, 1), (1e6, 1, 1)])
def test_an_absurd_spacing_without_transforms(tmp_path: Path, zooms: tuple[float, float, float]) -> None:
    made = files.header(fields={"pixdim": [1, *zooms, 1, 1, 1, 1]})
    with pytest.raises(ImageError, match=r"a\.nii: its header is wrong, it declares a spacing of"):
        read_geometry(files.write(tmp_path / "a.nii", files.voxels(), made))


def test_an_unused_qform_without_spacing(tmp_path: Path) -> None:
    made = files.header(sform=(files.affine(), 1), qform=(files.affine(), 1), fields={"pixdim": [1] + [0] * 7})
    found = read_image(files.write(tmp_path / "a.nii", files.voxels(), made))
    assert found.geometry.spacing == (3.0, 1.5, 1.0) and "its qform holds NaN or is no transform" in found.notes[0]


def test_no_transform_of_a_single_slice(tmp_path: Path) -> None:
    made = files.header((6, 5, 1), sform=(files.affine(), 1), fields={"srow_z": [0, 0, 0, 30]})
    made["pixdim"][3] = 0
    geometry = read_image(files.write(tmp_path / "a.nii", files.voxels((6, 5, 1)), made)).geometry
    assert geometry.spacing == (1.0, 1.5, 1.0) and geometry.orientation() == "SAR"
