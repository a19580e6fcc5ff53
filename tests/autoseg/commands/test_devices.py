"""What `--devices` may name, and how the cores are shared out."""

import pytest

from autoseg.commands.devices import choose_devices, places_of
from autoseg.commands.plan_options import check_plan_options
from autoseg.errors import InputError
from autoseg.machine.cores import available_cores

several = pytest.mark.skipif(available_cores() < 2, reason="needs two cores")


@pytest.fixture
def cards(monkeypatch):
    """Let torch find so many CUDA cards."""

    def found(count: int) -> None:
        monkeypatch.setattr("torch.cuda.is_available", lambda: count > 0)
        monkeypatch.setattr("torch.cuda.device_count", lambda: count)

    return found


def test_every_card_that_is_found_trains(cards) -> None:
    cards(4)
    assert choose_devices("auto", None) == ("cuda:0", "cuda:1", "cuda:2", "cuda:3")
    assert choose_devices("cuda", None) == (), "one device was asked for"


@pytest.mark.parametrize("count", [0, 1])
def test_with_one_card_or_none_folds_are_trained_one_after_the_other(cards, count: int) -> None:
    cards(count)
    assert choose_devices("auto", None) == ()
    options = check_plan_options(None, None, "auto", None)
    assert (options.devices, options.count, options.device, options.device_name) == ((), 1, None, "auto")


def test_a_number_is_that_of_a_card(cards) -> None:
    cards(4)
    assert choose_devices("auto", ["0", "cuda:2"]) == choose_devices("auto", (0, 2)) == ("cuda:0", "cuda:2")
    alone = check_plan_options(None, None, "auto", None, devices=(3,))
    assert (alone.devices, alone.device) == ((), "cuda:3"), "one device is as --device"
    both = check_plan_options(None, None, "auto", None, devices=(3, 1))
    assert (both.devices, both.device, both.count) == (("cuda:3", "cuda:1"), "cuda:3", 2)
    assert both.threads_of_a_fold is None


@pytest.mark.parametrize(
    ("devices", "told"),
    [
        (["0", "0"], "cuda:0 is named twice"),
        (["0", "00"], "cuda:0 is named twice"),
        (["cuda:9"], r"this machine has 2 CUDA device\(s\), counted from cuda:0"),
        (["gpu"], "--devices gpu: unknown; name CUDA cards by their numbers"),
        (["cuda"], "--devices cuda: unknown"),
        (["-1"], "--devices -1: unknown"),
        (["²"], "--devices ²: unknown"),
        (["9999999999999999999999"], "unknown"),
        ([], "no device is named"),
        (["cpu", "0"], "cpu and cuda together"),
        (["cpu"] * (available_cores() + 1), f"this process may use {available_cores()} cores"),
        (["mps", "mps"], "mps is named twice"),
    ],
)
def test_nonsense_is_refused(cards, devices: list[str], told: str) -> None:
    cards(2)
    with pytest.raises(InputError, match=told):
        choose_devices("auto", devices)


def test_a_card_is_refused_where_there_is_none(cards) -> None:
    cards(0)
    with pytest.raises(InputError, match=r"device cuda:9: torch .* use --device cpu"):
        choose_devices("auto", ["cuda:9"])


def test_one_option_or_the_other() -> None:
    with pytest.raises(InputError, match="--device cpu and --devices exclude each other"):
        choose_devices("cpu", ["cpu", "cpu"])


@several
def test_a_fold_is_planned_for_its_share_of_the_cores() -> None:
    names = ["cpu"] * 2
    assert check_plan_options(None, None, "auto", None, devices=names).threads_of_a_fold == available_cores() // 2
    assert check_plan_options(None, None, "auto", None, devices=names, threads=1).threads_of_a_fold == 1


@pytest.mark.parametrize(("count", "cores"), [(1, 7), (2, 7), (4, 16), (3, 16), (8, 8)])
def test_every_core_has_one_training(count: int, cores: int) -> None:
    numbers = list(range(2, 2 + cores))
    places = places_of([f"cuda:{i}" for i in range(count)], numbers)
    assert [core for place in places for core in place.cores] == numbers
    sizes = [len(place.cores) for place in places]
    assert max(sizes) - min(sizes) <= 1
    assert [place.device for place in places] == [f"cuda:{i}" for i in range(count)]


def test_more_cards_than_cores_share_a_core() -> None:
    places = places_of(["cuda:0", "cuda:1", "cuda:2"], [4, 6])
    assert [place.cores for place in places] == [(4,), (6,), (4,)]
