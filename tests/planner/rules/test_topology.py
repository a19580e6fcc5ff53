"""Pooling and kernels: nnU-Net's published topologies, and what must hold for any spacing and patch."""

import numpy as np
import pytest

from autoseg.errors import PlanError
from planner.rules.topology import first_patch, next_smaller, plan_topology


def test_an_isotropic_patch_is_halved_until_four_voxels_are_left() -> None:
    topology = plan_topology((1, 1, 1), (128, 128, 128))
    assert topology.strides == ((1, 1, 1), *((2, 2, 2),) * 5)
    assert topology.kernel_sizes == ((3, 3, 3),) * 6
    assert topology.divisor == (32, 32, 32)


def test_acdc_as_nnunet_publishes_it() -> None:
    # Isensee et al. 2021, supplement, ACDC: patch 20 x 256 x 224 at 5 x 1.56 x 1.56 mm
    topology = plan_topology((5, 1.5625, 1.5625), (20, 256, 224))
    assert topology.patch_size == (20, 256, 224)
    assert topology.strides == ((1, 1, 1), (1, 2, 2), (2, 2, 2), (2, 2, 2), (1, 2, 2), (1, 2, 2))
    assert topology.kernel_sizes == ((1, 3, 3), *((3, 3, 3),) * 5)


def test_a_lone_axis_is_halved_only_from_twelve_voxels_on() -> None:
    assert plan_topology((1, 1), (11, 7)).strides == ((1, 1),)
    assert plan_topology((1, 1), (12, 7)).strides == ((1, 1), (2, 1))


def test_a_patch_too_small_to_pool_is_one_stage() -> None:
    topology = plan_topology((1, 1, 1), (7, 7, 6.5))
    assert topology.patch_size == (7, 7, 7)
    assert topology.strides == ((1, 1, 1),)
    assert topology.kernel_sizes == ((3, 3, 3),)


def test_properties_of_any_topology() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        axes = int(rng.integers(2, 4))
        spacing = np.exp(rng.uniform(-2, 2, axes)).tolist()
        patch = np.rint(np.exp(rng.uniform(1, 6.2, axes)) * 2) / 2
        topology = plan_topology(spacing, patch.tolist())
        size, divisor = np.array(topology.patch_size), np.array(topology.divisor)
        assert (size % divisor == 0).all()
        assert (size >= patch).all()
        assert (size < patch + divisor).all()
        # what pooling leaves of a pooled axis
        assert (size[divisor > 1] / divisor[divisor > 1] >= 4).all()
        # a kernel never shrinks towards the depth
        kernels = np.array(topology.kernel_sizes)
        assert (np.diff(kernels, axis=0) >= 0).all()


def test_the_first_patch_has_equal_sides_in_mm_within_the_median_case() -> None:
    assert first_patch((1, 1, 1), (1000, 1000, 1000)) == (256, 256, 256)
    assert first_patch((1, 1), (9999, 1000.5)) == (2048, 1000.5)
    patch = first_patch((4, 0.5, 1), (9999, 9999, 9999))
    np.testing.assert_allclose(np.array(patch) * (4, 0.5, 1), np.cbrt(256**3 * 2), rtol=0.01)


def test_shortening_skips_no_valid_size() -> None:
    # 256 is a multiple of 64, but 224 is divided as well, by five poolings
    spacing, median = (1.0, 1.0), (256.0, 256.0)
    first = plan_topology(spacing, (256, 256))
    second = next_smaller(first, spacing, median)
    assert second.patch_size == (256, 224)
    assert next_smaller(second, spacing, median).patch_size == (224, 224)


def test_a_patch_of_one_voxel_cannot_be_shortened() -> None:
    with pytest.raises(PlanError, match="--memory"):
        next_smaller(plan_topology((1, 1), (1, 1)), (1, 1), (1, 1))


def test_shortening_always_ends() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        spacing = np.exp(rng.uniform(-1, 1, 3)).tolist()
        median = rng.integers(2, 300, 3).tolist()
        topology = plan_topology(spacing, first_patch(spacing, median))
        seen = set()
        # ends by the error of a patch that cannot become smaller; a patch met twice would never end
        with pytest.raises(PlanError):
            while topology.patch_size not in seen:
                seen.add(topology.patch_size)
                topology = next_smaller(topology, spacing, median)
