"""Cases that an earlier release placed by ITK's choice of transform are preprocessed anew where that was another."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from rich.console import Console

from autoseg.dataset.case import Case, Dataset
from autoseg.disk.checksums import write_checksums
from autoseg.image.image_header import geometry_of
from autoseg.plan.plan import Plan
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.preprocessed_case import open_case, read_record, require_intact, write_case
from planner.preprocess import preprocess_dataset
from tests.autoseg.image.nifti import files
from tests.example_plan import LABELS, example_channel, example_plan

PLAN = example_plan(channels=(example_channel("T1"), example_channel("T2")))
HERE = files.affine()
AWAY = files.moved(2.0, 0.0, 0.0) @ HERE
"""By both the voxels are 2 mm apart."""


def two_transforms(sform: np.ndarray, qform: np.ndarray) -> object:
    # by these codes ITK takes the qform
    return files.header(qform=(qform, 1), sform=(sform, 2))


def case(folder: Path, name: str, *sforms: np.ndarray) -> Case:
    label = np.zeros(files.SHAPE, np.float32)
    label[2:4, 1:4, 1:3] = 1
    images = tuple(
        files.write(folder / f"{name}_{i}.nii.gz", files.voxels() + i, two_transforms(sform, HERE))
        for i, sform in enumerate(sforms)
    )
    return Case(name, images, files.write(folder / f"{name}.nii.gz", label, two_transforms(sforms[0], HERE)))


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    cases = (
        case(tmp_path / "raw", "alike", HERE, HERE),
        case(tmp_path / "raw", "both", AWAY, AWAY),
        case(tmp_path / "raw", "second", HERE, AWAY),
    )
    return Dataset("example", "nnunet", ("T1", "T2"), (False, False), LABELS, cases, folder=tmp_path / "raw")


def as_an_earlier_release(run: RunFolder, cases: Dataset) -> None:
    """Give the records the place that ITK takes, and no fields of the header."""
    for one in cases.cases:
        folder = run.case("3d", one.name)
        opened = open_case(folder)
        by_itk = geometry_of(sitk.ReadImage(str(one.images[0])))
        record = opened.record.changed(stored=by_itk, nifti=None)
        write_case(folder, record, opened.image[:], opened.label[:], opened.foreground)
        fields = json.loads((folder / "case.json").read_text(encoding="utf-8"))
        del fields["nifti"]
        (folder / "case.json").write_text(json.dumps(fields), encoding="utf-8")
        write_checksums(folder, ("image.b2nd", "label.b2nd", "foreground.safetensors", "case.json"))


def preprocessed(dataset: Dataset, run: RunFolder, plan: Plan = PLAN) -> tuple[dict[str, int], str]:
    """When each case was made, and what was told."""
    told = io.StringIO()
    preprocess_dataset(dataset, plan, "3d", run, workers=1, console=Console(file=told, width=300))
    return {one.name: (run.case("3d", one.name) / "reference.nii.gz").stat().st_mtime_ns for one in dataset.cases}, (
        "".join(line for line in told.getvalue().splitlines(keepends=True) if "again" in line)
    )


def test_another_sequence_that_the_label_was_drawn_on_redoes_a_case_where_sequences_are_aligned(
    dataset: Dataset, tmp_path: Path
) -> None:
    def drawn_on(sequence: str) -> Dataset:
        first, *others = dataset.cases
        return replace(dataset, cases=(replace(first, drawn_on=sequence), *others))

    for align, redone in ((None, []), ("T1", ["alike"])):
        run, plan = RunFolder(tmp_path / f"run_{align}"), PLAN.changed(align=align)
        before, _ = preprocessed(drawn_on("T1"), run, plan)
        after, _ = preprocessed(drawn_on("T2"), run, plan)
        assert [name for name in after if after[name] != before[name]] == redone


def test_cases_that_lie_elsewhere_now_are_preprocessed_again_once(dataset: Dataset, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    before, told = preprocessed(dataset, run)
    assert told == ""
    as_an_earlier_release(run, dataset)
    assert read_record(run.case("3d", "both")).stored.origin == pytest.approx((-10, 20, 30))
    after, told = preprocessed(dataset, run)
    assert [name for name in after if after[name] != before[name]] == ["both", "second"]
    assert told.splitlines() == [
        f"Warning: {name}: is preprocessed again: the two transforms of {name}_{i}.nii.gz differ, and an earlier "
        "release placed it by the other one, up to 2 mm away"
        for name, i in (("both", 0), ("second", 1))
    ]
    # 2 mm to the right in RAS, where x grows to the left in ours
    assert read_record(run.case("3d", "both")).stored.origin == pytest.approx((-12, 20, 30))
    assert require_intact(run.case("3d", "alike"))
    assert preprocessed(dataset, run) == (after, "")


def test_a_first_sequence_that_is_no_nifti_is_no_sign_of_an_earlier_release(tmp_path: Path, dataset: Dataset) -> None:
    """The second sequence is a NIfTI file of two transforms; the record of the case has no fields of a header."""
    second = dataset.cases[2]
    plain = sitk.ReadImage(str(second.images[0]))
    sitk.WriteImage(plain, str(tmp_path / "first.nrrd"))
    mixed = replace(dataset, cases=(replace(second, images=(tmp_path / "first.nrrd", second.images[1])),))
    run = RunFolder(tmp_path / "run")
    made, _ = preprocessed(mixed, run)
    again, told = preprocessed(mixed, run)
    assert again == made and told == ""
