"""`predict` by hand shares a folder with units of work that wait or run, or is refused by name."""

import pytest

import autoseg
from autoseg.errors import InputError, RunFolderError
from autoseg.files import write_text
from autoseg.work.engine import record_of
from autoseg.work.request import Request, write_request
from inference.lasting_marks import FOLDER
from tests.autoseg.commands.test_give_predictions import (
    NAMES,
    at_once,
    compared,
    give,
    label_maps,
    out,
    run,
    scans,
    slurm,
    words,
    work,
)
from tests.tiny_models import make_models
from tests.words import on_one_line

__all__ = ["at_once", "compared", "out", "run", "scans", "slurm"]


def by_hand(run, scans, out, **options) -> set[str]:
    """Names of the cases that were predicted."""
    return set(autoseg.predict(run.path, scans, out.path, device="cpu", **options).label_maps)


@pytest.mark.parametrize("skip_existing", [False, True])
def test_what_is_predicted_by_hand_counts_for_parts_that_wait(
    slurm, run, scans, out, monkeypatch, capsys, skip_existing
):
    give(run, scans, out)
    slurm.held = ("predict-0of2", "predict-1of2")
    monkeypatch.chdir(scans.parent)
    assert by_hand(run, "scans", out, part="1/2", skip_existing=skip_existing) == {"scan_0", "scan_2", "scan_4"}
    assert words(out) == {"predict-0of2": "done", "predict-1of2": "ready"}
    # one more that is not in the list
    before = label_maps(out.path)
    (scans / "more.nii.gz").write_bytes((scans / "scan_0.nii.gz").read_bytes())
    assert by_hand(run, [scans / "scan_0.nii.gz", scans / "more.nii.gz"], out) == {"more"}
    capsys.readouterr()
    assert work(out, "predict-1of2") == 0
    assert "0 of 2 are predicted already" in on_one_line(capsys.readouterr().err)
    assert set(words(out).values()) == {"done"} and before.items() <= label_maps(out.path).items()


def test_what_is_done_is_left_while_it_is_compared(slurm, compared, run, scans, out, capsys):
    give(run, scans, out, evaluate=scans)
    assert work(out, "predict-0of2") == work(out, "predict-1of2") == 0
    slurm.held = ("evaluate",)
    table = (out.path / "measurements.csv").read_bytes()
    capsys.readouterr()
    assert by_hand(run, scans, out) == set()
    told = on_one_line(capsys.readouterr().err)
    assert "What they have predicted is left as it is" in told
    assert "5 of 5 are predicted already and left as they are." in told
    assert (out.path / "measurements.csv").read_bytes() == table
    assert words(out) == {"predict-0of2": "done", "predict-1of2": "done", "evaluate": "ready"}
    # once it does not wait any more, a prediction begins anew
    slurm.held = ()
    assert by_hand(run, scans, out) == set(NAMES)
    assert words(out)["predict-0of2"] == "ready"


def test_something_else_is_refused_by_name_while_units_wait(slurm, scans, out, tmp_path):
    run = make_models(tmp_path / "run")
    give(run, scans, out)
    slurm.held = ("predict-1of2",)
    with pytest.raises(RunFolderError, match=r"something else \(--mirror\).*wait or run \(predict-1of2\); .*cancel"):
        by_hand(run, scans, out, mirror=False)
    other = tmp_path / "other" / "scan_1.nii.gz"
    other.parent.mkdir()
    other.write_bytes((scans / "scan_2.nii.gz").read_bytes())
    with pytest.raises(RunFolderError, match=r"something else \(other images of the names scan_1\)"):
        by_hand(run, other, out)
    run.finished("3d", 1).unlink()
    with pytest.raises(RunFolderError, match=r"something else \(the models\)"):
        by_hand(run, scans, out)
    assert not label_maps(out.path) and not (out.path / FOLDER).exists()
    slurm.held = ()
    assert by_hand(run, scans, out, mirror=False) == set(NAMES)


def test_where_the_engine_is_not_at_hand_the_images_are_shared_and_other_options_refused(
    slurm, run, scans, out, monkeypatch
):
    give(run, scans, out)

    def absent(folder):
        raise InputError("squeue is not found")

    monkeypatch.setattr("autoseg.work.at_work.held_by_engine", absent)
    with pytest.raises(RunFolderError, match="is not known here: squeue is not found"):
        by_hand(run, scans, out, mirror=False)
    assert by_hand(run, scans, out, part="1/2") == {"scan_0", "scan_2", "scan_4"}
    assert words(out)["predict-0of2"] == "done"


def test_a_damaged_list_or_a_link_is_no_list_to_follow(slurm, run, scans, out, tmp_path):
    give(run, scans, out)
    out.work.rename(tmp_path / "work")
    out.work.symlink_to(tmp_path / "work")
    with pytest.raises(RunFolderError, match="work: is a link"):
        by_hand(run, scans, out)
    out.work.unlink()
    (tmp_path / "work").rename(out.work)
    out.request.write_text("damaged", encoding="utf-8")
    assert by_hand(run, scans, out) == set(NAMES)


@pytest.mark.parametrize(("finished", "told"), [(1, "3d, fold 0."), (0, "3d, fold 0, 1. fold 0, 1: training was sto")])
def test_folds_that_were_stopped_are_told_where_they_are_given_to_an_engine(
    slurm, scans, out, tmp_path, capsys, finished, told
):
    run = make_models(tmp_path / "run")
    for fold in range(finished, 2):
        run.finished("3d", fold).unlink()
    give(run, scans, out)
    assert f"Predicting with {told}" in on_one_line(capsys.readouterr().err)


@pytest.mark.parametrize("engine", ["local", "slurm"])
def test_nobody_is_told_to_train_beside_units_that_train(slurm, scans, out, tmp_path, engine):
    run = make_models(tmp_path / "run", folds=0)
    write_request(run, Request(dataset="/data", configurations=("3d",), folds=2, epochs=100))
    write_text(run.engine, record_of("slurm"))
    slurm.held = ("train-3d-fold_1",)
    told = "no fold of 3d is trained yet, and units of the run wait or run; see `autoseg status .*run`"
    with pytest.raises(RunFolderError, match=told):
        autoseg.predict(run.path, scans, out.path, device="cpu", engine=engine)
    slurm.held = ()
    with pytest.raises(RunFolderError, match=r"no fold of 3d is trained; `autoseg train .* does it"):
        autoseg.predict(run.path, scans, out.path, device="cpu", engine=engine)
