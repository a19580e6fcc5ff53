"""Label maps of an ensemble's members, beside those of each member predicted alone."""

import numpy as np
import pytest
import torch

from autoseg.whole_image import member_labels as module
from autoseg.whole_image.member_labels import MemberLabels, by_thresholds, by_weights
from autoseg.whole_image.sliding_window import predict_probabilities

IMAGE = np.random.default_rng(3).random((1, 20, 13, 14), dtype=np.float32)
SETTINGS = {"patch_size": (8, 8, 8), "classes": 3, "overlap": 0.5}
KINDS = (0.7, 1.0, 1.6)


def member(power: float):
    """A network of three classes whose answer depends on the voxel and on its place in the patch."""

    def predict(patches: torch.Tensor) -> torch.Tensor:
        first = patches[:, :1] ** power * torch.linspace(0.4, 1, 512).reshape(8, 8, 8)
        second = (1 - first) * patches[:, :1]
        return torch.cat([first, second, 1 - first - second], 1)

    return predict


def mean(patches: torch.Tensor) -> torch.Tensor:
    return together(patches)[0]


def together(patches: torch.Tensor) -> list[torch.Tensor]:
    members = [member(power)(patches) for power in KINDS]
    return [sum(members[1:], members[0]) / len(members), *members]


def labels(decide, **options) -> MemberLabels:
    return MemberLabels(together, len(KINDS), decide, **options)


@pytest.mark.parametrize("mirror", [(), (0, 2)])
@pytest.mark.parametrize("windows", [1, 3])
def test_a_member_has_the_classes_that_it_predicts_alone_and_the_mean_its_bits(mirror, windows) -> None:
    kept = labels(by_weights((1.0, 2.0, 1.5)))
    options = {**SETTINGS, "mirror": mirror, "batch_size": windows}
    found = predict_probabilities(mean, IMAGE, members=kept, **options)
    np.testing.assert_array_equal(found, predict_probabilities(mean, IMAGE, **options))
    assert len(kept.maps) == len(KINDS)
    for of_one, power in zip(kept.maps, KINDS, strict=True):
        alone = predict_probabilities(member(power), IMAGE, **options).astype(np.float64)
        score = alone * np.array([1, 2, 1.5])[:, None, None, None]
        clear = np.sort(score, axis=0)[-1] - np.sort(score, axis=0)[-2] > 4e-3
        assert clear.mean() > 0.9, "half precision cannot tell a tie"
        np.testing.assert_array_equal(of_one[clear], score.argmax(axis=0)[clear])
    assert len({of_one.tobytes() for of_one in kept.maps}) == len(KINDS)


def test_of_regions_the_last_one_above_its_threshold_is_written() -> None:
    kept = labels(by_thresholds((0.3, 0.5, 0.2), (4, 1, 2)))
    predict_probabilities(mean, IMAGE, members=kept, mirror=(), **SETTINGS)
    alone = predict_probabilities(member(KINDS[0]), IMAGE, mirror=(), **SETTINGS)
    expected = np.zeros(alone.shape[1:], np.uint8)
    for probability, threshold, index in zip(alone, (0.3, 0.5, 0.2), (4, 1, 2), strict=True):
        expected[probability > threshold] = index
    assert (kept.maps[0] == expected).mean() > 0.999
    assert set(np.unique(expected)) >= {1, 2, 4}


def test_where_memory_is_short_they_are_left_out(monkeypatch) -> None:
    kept = labels(by_weights((1.0, 1.0, 1.0)))
    monkeypatch.setattr(module, "free_memory", lambda: 10_000)
    found = predict_probabilities(mean, IMAGE, members=kept, mirror=(), **SETTINGS)
    assert kept.maps == []
    np.testing.assert_array_equal(found, predict_probabilities(mean, IMAGE, mirror=(), **SETTINGS))


def test_where_memory_turns_out_short_they_are_given_up_first() -> None:
    def lacking(_: torch.Tensor) -> list[torch.Tensor]:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3.00 GiB.")

    shown = []

    def counted(patches: torch.Tensor) -> torch.Tensor:
        shown.append(len(patches))
        return mean(patches)

    kept = MemberLabels(lacking, len(KINDS), by_weights((1.0, 1.0, 1.0)))
    predict_probabilities(counted, IMAGE, members=kept, mirror=(), batch_size=2, **SETTINGS)
    assert kept.maps == [] and shown[0] == 2


@pytest.mark.parametrize(("anywhere", "where"), [(False, None), (True, torch.device("cpu"))])
def test_beside_another_device_they_lie_in_the_cpus_memory_only_if_asked_for(anywhere, where) -> None:
    kept = labels(by_weights((1.0, 1.0, 1.0)), anywhere=anywhere)
    assert kept.device((20, 13, 14), (8, 8, 8), 3, torch.device("mps")) == where
    assert kept.device((20, 13, 14), (8, 8, 8), 3, torch.device("cpu")) == torch.device("cpu")
