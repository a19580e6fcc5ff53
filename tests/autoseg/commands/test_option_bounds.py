"""Every number among the options is refused beyond its bounds, before any work."""

import inspect
from typing import get_args

import pytest

import autoseg
from autoseg.commands import cli
from autoseg.commands.command import types_of_options
from autoseg.commands.option_bounds import AT_ONCE, DURATION, Between
from autoseg.errors import InputError
from autoseg.plan.bounds import MOST_DEVICES

COMMANDS = [getattr(autoseg, name) for name in autoseg.COMMANDS]
NUMBERS = [
    (command, name)
    for command in COMMANDS
    for name, hint in types_of_options(command).items()
    if {int, float} & set(get_args(get_args(hint)[0] if get_args(hint) else hint) or [get_args(hint)[0]])
]


def call(command, tmp_path, **options):
    needed = [p.name for p in inspect.signature(command).parameters.values() if p.default is inspect.Parameter.empty]
    return command(**dict.fromkeys(needed, tmp_path / "new"), **options)


def test_every_number_has_bounds() -> None:
    for command, name in NUMBERS:
        parts = get_args(types_of_options(command)[name])
        assert DURATION in parts or any(isinstance(part, Between) for part in parts), f"{command.__name__} {name}"
    assert len(NUMBERS) > 30
    assert AT_ONCE.high == MOST_DEVICES


@pytest.mark.parametrize("value", [-5, float("nan"), float("inf"), -float("inf"), 1e308, 10**12])
def test_foolish_numbers_are_refused_by_name(tmp_path, value) -> None:
    for command, name in NUMBERS:
        with pytest.raises(InputError, match=f"--{name.replace('_', '-')} |length of time"):
            call(command, tmp_path, **{name: value})
    assert not (tmp_path / "new").exists()


def test_a_million_threads_and_half_a_fold_are_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="--threads 1000000: at least one, and at most 1024"):
        autoseg.run(tmp_path, tmp_path / "new", threads=10**6)
    with pytest.raises(InputError, match=r"--fold 0.5: a whole number is needed"):
        autoseg.train(tmp_path, fold=0.5)
    with pytest.raises(InputError, match="--fold -1: at least 0"):
        autoseg.predict(tmp_path, tmp_path, tmp_path / "new", fold=[0, -1])


def test_the_command_line_tells_it_without_a_traceback(tmp_path, capsys) -> None:
    assert cli.status_of(["run", str(tmp_path), "-o", str(tmp_path / "new"), "--memory", "nan"]) == 2
    assert "--memory nan: at least 0.5, and at most 10000" in capsys.readouterr().err
