"""What of plan and configuration decides how a whole prepared case is shown to a network."""

import numpy as np
import torch

from autoseg.whole_image.prepared_case import predict_prepared_case
from tests.example_plan import example_channel, example_plan


def test_windows_classes_and_input_follow_from_the_plan() -> None:
    planned = example_plan(channels=(example_channel(name="T1"), example_channel(name="T2")))
    configuration = planned.configuration("3d").changed(availability_code=True)
    image = np.random.default_rng(0).random((2, 20, 12, 16), dtype=np.float32)
    image[1] = 0
    shown, told = [], []

    def first_class(patches: torch.Tensor) -> torch.Tensor:
        shown.append(patches.numpy().copy())
        rest = torch.zeros_like(patches[:, :1])
        return torch.cat([torch.ones_like(rest), rest, rest], 1)

    found = predict_prepared_case(
        first_class,
        image,
        (True, False),
        plan=planned,
        configuration=configuration,
        mirror=(2,),
        device=torch.device("cpu"),
        on_window=lambda done, total: told.append((done, total)),
    )
    assert found.shape == (3, 20, 12, 16)
    assert (found[0] == 1).all() and not found[1:].any()
    assert told == [(1, 2), (2, 2)], "one window at once on a CPU: 16 of 20 slices, each overlapping by half at least"
    assert [patches.shape for patches in shown] == [(1, 4, 16, 16, 16)] * 4, "each window once more, mirrored"
    for patches in shown:
        np.testing.assert_array_equal(patches[0, 2], 1)
        np.testing.assert_array_equal(patches[0, 3], 0)
        assert patches[0, 0].any() and not patches[0, 1].any()
