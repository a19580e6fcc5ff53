"""The column `drawn_on` from a table to the plan, and what is said of it."""

from pathlib import Path

import pytest

import autoseg
from autoseg.errors import RunFolderError
from autoseg.image.image import Image, write_image
from autoseg.plan.plan import read_plan
from autoseg.run_folder.dataset_record import read_record
from autoseg.run_folder.paths import RunFolder
from tests.autoseg.dataset import build
from tests.autoseg.small_dataset import draw_case, geometry


def table(folder: Path, *drawn_on: str) -> Path:
    rows = []
    for i, sequence in enumerate(drawn_on):
        image, label = draw_case(i)
        files = {"T1": image, "T2": image + draw_case(i + 10)[0], "label": label}
        for name, array in files.items():
            write_image(folder / f"{i}_{name}.nii.gz", Image(array[None], geometry()))
        rows.append({"case": f"ball_{i}", **{name: f"{i}_{name}.nii.gz" for name in files}, "drawn_on": sequence})
    return build.write_table(folder, rows)


def test_the_most_common_sequence_becomes_that_of_the_plan(calls, tmp_path: Path, capsys) -> None:
    path, run = table(tmp_path / "raw", "T2", "", "T2", "T1", "T2"), RunFolder(tmp_path / "run")

    def plan(align: str) -> str:
        autoseg.plan_and_preprocess(path, run.path, align=align, device="cpu", workers=1, plan_only=True)
        return " ".join(capsys.readouterr().out.split())

    told = (
        "Labels were drawn on T2 (3 cases), T1 (2), by the column drawn_on: the other sequences of each case are "
        "aligned onto it, and those of new images onto T2, unless their table says otherwise."
    )
    assert told in plan("first")
    assert read_plan(run.plan).align == "T2"
    assert "asked for, by --align; most labels were drawn on it" in run.plan.read_text(encoding="utf-8")
    assert [case.drawn_on for case in read_record(run).cases] == ["T2", "T1", "T2", "T1", "T2"]
    # the same command goes on
    assert told in plan("first")
    with pytest.raises(RunFolderError, match="with align: T2, not T1"):
        plan("T1")


@pytest.mark.parametrize("align", ["first", "none"])
def test_an_edit_after_training_is_refused_where_sequences_are_aligned_by_it(calls, tmp_path: Path, align: str) -> None:
    raw, run = tmp_path / "raw", RunFolder(tmp_path / "run")
    table(raw, "T2", "T2", "T2", "T2", "T1")

    def plan() -> None:
        autoseg.plan_and_preprocess(raw / "cases.csv", run.path, align=align, device="cpu", workers=1)

    def edited(old: str, new: str) -> None:
        path = raw / "cases.csv"
        path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")

    plan()
    autoseg.train(run.path)
    before = read_record(run)
    edited("label.nii.gz,T1", "label.nii.gz,T2")
    if align == "none":
        # what is not used may change
        plan()
        assert read_record(run) != before
        return
    with pytest.raises(RunFolderError, match=r"drawn_on has changed for ball_4.*undo it.*3d fold 0"):
        plan()
    assert read_record(run) == before
    edited("4_label.nii.gz,T2", "4_label.nii.gz,T1")
    plan()
