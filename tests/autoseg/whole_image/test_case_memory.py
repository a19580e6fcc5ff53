"""The bound of the memory that a case takes, beside counts by hand and a measured peak."""

from autoseg.whole_image.case_memory import case_bytes

GIB = 2**30


def test_it_is_no_less_than_what_is_held_at_once() -> None:
    voxels, at_spacing, channels, classes = 300 * 512 * 512, 300 * 256 * 256, 1, 25
    image, prepared = 4 * channels * voxels, 4 * channels * at_spacing
    probabilities, slab = 2 * classes * at_spacing, 4 * classes * 128 * 256 * 256
    bound = case_bytes(voxels, [at_spacing], channels, classes)
    assert bound > max(2 * image + prepared, prepared + probabilities + slab, probabilities + 5 * voxels)
    assert bound < 6 * GIB, "benchmarks/memory_predict.py: the whole process stays below 4 GiB"


def test_it_grows_with_everything() -> None:
    smallest = case_bytes(1000, [500], 1, 2)
    assert all(
        case_bytes(*more) > smallest
        for more in [
            (1001, [500], 1, 2),
            (1000, [501], 1, 2),
            (1000, [500], 2, 2),
            (1000, [500], 1, 3),
            (1000, [500, 1], 1, 2),
        ]
    )
