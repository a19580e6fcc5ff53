"""Which process of torch's launcher this is, by the variables that the launcher sets."""

import pytest

import autoseg
from autoseg.errors import InputError
from autoseg.machine.launcher import rank_of_launcher


@pytest.mark.parametrize(
    ("variables", "rank"),
    [({}, None), ({"RANK": "3"}, None), ({"TORCHELASTIC_RUN_ID": "a", "RANK": "3"}, 3)],
)
def test_the_rank_counts_where_the_launcher_started_the_process(monkeypatch, variables, rank) -> None:
    for name in ("TORCHELASTIC_RUN_ID", "RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert rank_of_launcher() == rank


def test_commands_that_do_more_than_one_fold_are_refused_under_it(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "a")
    with pytest.raises(InputError, match=r"torchrun starts `autoseg train RUN --fold N` alone"):
        autoseg.run(tmp_path / "data", tmp_path / "run")
    assert not (tmp_path / "run").exists()
