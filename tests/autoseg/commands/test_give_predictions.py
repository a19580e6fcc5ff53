"""Many images are given to an engine, which predicts them in parts; `status`, `cancel` and `work` know the folder."""

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.torch import load_file

import autoseg
from autoseg.commands import cli, do_unit
from autoseg.commands.do_prediction import cases_to_help
from autoseg.errors import InputError, RunFolderError
from autoseg.image.geometry import Geometry
from autoseg.image.image import Image, write_image
from autoseg.image.writing.codes import COLUMNS
from autoseg.network.weights import save_weights
from autoseg.plan.plan import read_plan
from autoseg.results import IncompletePrediction
from autoseg.run_folder.lock import locked
from autoseg.run_folder.lock_holder import Watch
from autoseg.run_folder.predictions_folder import PredictionsFolder
from autoseg.work.engine import read_engine
from autoseg.work.prediction_request import read_prediction_request
from autoseg.work.state import States
from autoseg.work.tries import read_tries
from autoseg.work.units import units_of
from inference.lasting_marks import FOLDER
from tests.example_record import STRAIGHT
from tests.tiny_models import SHAPE, SPACING, make_models
from tests.words import on_one_line

NAMES = [f"scan_{number}" for number in range(5)]


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Nobody waits for a slow file system, and parts may be short."""
    monkeypatch.setattr(do_unit, "SECONDS_FOR_OTHERS", 0.0)
    monkeypatch.setattr(do_unit, "SECONDS_BETWEEN_LOOKS", 0.02)
    monkeypatch.setattr("autoseg.work.request.CASES_A_PART", 2)


@pytest.fixture
def slurm(monkeypatch):
    """A stand-in for the engine."""
    given = SimpleNamespace(submitted=[], held=())
    module = SimpleNamespace(
        options_of=lambda folder, asked: asked,
        submit=lambda folder, units, options: given.submitted.append([unit.name for unit in units]),
        scripts_of=lambda folder, units, options, written, removed, follow_links: json.dumps(
            [
                [unit.name for unit in units],
                {path.name: text for path, text in written.items()},
                [path.name for path in removed],
                follow_links,
            ]
        ),
        held=lambda folder: given.held,
        cancel=lambda folder: ("predict-0of2",),
        in_queue=lambda folder, states: {},
    )
    monkeypatch.setitem(sys.modules, "autoseg.work.engines.slurm", module)
    return given


@pytest.fixture
def compared(monkeypatch):
    """Folders that were compared, by a stand-in."""
    found = list[tuple[Path, PredictionsFolder]]()
    for module in ("predict", "do_prediction"):
        monkeypatch.setattr(
            f"autoseg.commands.{module}.compare", lambda folder, labels, options: found.append((labels, folder))
        )
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_models(tmp_path_factory.mktemp("models") / "run")


@pytest.fixture
def scans(tmp_path):
    for number, name in enumerate(NAMES):
        voxels = np.random.default_rng(number).normal(100, 20, (1, *SHAPE)).astype(np.float32)
        write_image(tmp_path / "scans" / f"{name}.nii.gz", Image(voxels, Geometry(SHAPE, SPACING, (0, 0, 0), STRAIGHT)))
    return tmp_path / "scans"


@pytest.fixture
def out(tmp_path) -> PredictionsFolder:
    return PredictionsFolder(tmp_path / "out")


def give(run, scans, out, **options):
    return autoseg.predict(run.path, scans, out.path, engine="slurm", device="cpu", **options)


def work(out, name):
    return cli.status_of(["work", str(out.path), name])


def words(out) -> dict[str, str]:
    states = States(out)
    return {unit.name: states.of(unit).word for unit in units_of(out)}


def label_maps(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.nii.gz")}


def test_parts_by_an_engine_are_a_plain_prediction(slurm, compared, run, scans, out, tmp_path, capsys):
    (tmp_path / "alone").mkdir()
    give(run, scans, out, evaluate=tmp_path / "alone")
    assert slurm.submitted == [["predict-0of2", "predict-1of2", "evaluate"]] and read_engine(out) == "slurm"
    assert "5 images, in 2 parts" in on_one_line(capsys.readouterr().err)
    assert read_prediction_request(out).options.run == str(run.path)
    assert work(out, "evaluate") == 1 and work(out, "predict-9of9") == 2

    for name in ("predict-1of2", "predict-0of2"):
        assert words(out)[name] == "ready"
        assert work(out, name) == 0 and words(out)[name] == "done"
    autoseg.predict(run.path, scans, tmp_path / "alone", device="cpu")
    assert label_maps(out.path) == label_maps(tmp_path / "alone") and len(label_maps(out.path)) == 5
    assert work(out, "evaluate") == 0 and compared == [(tmp_path / "alone", out)]
    capsys.readouterr()
    give(run, scans, out, evaluate=tmp_path / "alone")
    assert len(slurm.submitted) == 1
    assert "Every unit of work is done" in on_one_line(capsys.readouterr().err)
    # a done part is not done again
    assert work(out, "predict-0of2") == 0 and read_tries(out, "predict-0of2").count == 1
    found = autoseg.status(out.path)
    told = on_one_line(capsys.readouterr().out)
    assert "3 of 3 units of work are done" in told and "5 of 5 images are predicted" in told and "Check first" in told
    assert list(found.to_frame()["state"]) == ["done"] * 3


def test_more_images_and_changed_ones_are_predicted_and_the_others_left(slurm, run, scans, out, capsys):
    give(run, scans, out)
    assert work(out, "predict-0of2") == work(out, "predict-1of2") == 0
    (scans / "scan_0.nii.gz").rename(scans / "scan_9.nii.gz")
    (scans / "scan_1.nii.gz").write_bytes((scans / "scan_2.nii.gz").read_bytes())
    give(run, scans, out)
    # the new one and the changed one are in the first part, with one that is as it was
    assert words(out) == {"predict-0of2": "ready", "predict-1of2": "done"}
    capsys.readouterr()
    assert work(out, "predict-0of2") == 0
    assert "1 of 3 are predicted already and left as they are." in on_one_line(capsys.readouterr().err)
    assert label_maps(out.path)["scan_1.nii.gz"] == label_maps(out.path)["scan_2.nii.gz"]
    assert set(words(out).values()) == {"done"}


def test_other_models_are_refused_until_it_is_asked_again(slurm, scans, out, tmp_path, capsys):
    run = make_models(tmp_path / "run")
    give(run, scans, out)
    assert work(out, "predict-0of2") == 0
    save_weights(run.weights("3d", 1), load_file(run.weights("3d", 0)))
    assert work(out, "predict-1of2") == 2
    assert "models have changed since the predictions" in on_one_line(capsys.readouterr().err)
    give(run, scans, out)
    assert slurm.submitted[-1] == ["predict-0of2", "predict-1of2"]


def test_another_table_of_codes_predicts_anew_wherever_its_file_was(slurm, run, scans, out, tmp_path):
    def meaning(text, name="codes.csv"):
        cells = ("body", "SCT", "123037004", "Anatomical Structure", "SCT", "10200004", text, "#E69F00")
        (tmp_path / name).write_text(f"{','.join(COLUMNS)}\n{','.join(cells)}\n", encoding="utf-8")
        give(run, scans, out, codes=tmp_path / name, format="seg.nrrd")

    meaning("Liver")
    assert work(out, "predict-0of2") == 0
    slurm.held = ("predict-1of2",)
    # the same table, wherever it lies
    meaning("Liver", "moved.csv")
    assert words(out) == {"predict-0of2": "done", "predict-1of2": "ready"}
    with pytest.raises(RunFolderError, match=r"something else \(the models or the table of --codes\)"):
        meaning("Hepar", "other.csv")
    by_hand = autoseg.predict(
        run.path, scans, out.path, device="cpu", codes=tmp_path / "codes.csv", format="seg.nrrd", part="2/2"
    )
    assert set(by_hand.label_maps) == {"scan_1", "scan_3"} and set(words(out).values()) == {"done"}
    slurm.held = ()
    submitted = len(slurm.submitted)
    meaning("Liver")
    assert len(slurm.submitted) == submitted
    meaning("Hepar")
    assert slurm.submitted[-1] == ["predict-0of2", "predict-1of2"]


def test_other_threads_change_what_a_part_needs_and_not_what_is_done(slurm, run, scans, out):
    give(run, scans, out, threads=1)
    assert work(out, "predict-0of2") == 0
    give(run, scans, out, threads=3)
    assert words(out) == {"predict-0of2": "done", "predict-1of2": "ready"}
    assert {unit.needs.cores for unit in units_of(out)} == {3}


def test_a_folder_of_a_stranger_is_looked_at_before_it_is_read_or_written(slurm, run, scans, out, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    out.path.mkdir()
    out.work.symlink_to(elsewhere)
    with pytest.raises(RunFolderError, match="work: is a link"):
        give(run, scans, out)
    assert list(elsewhere.iterdir()) == [] and not slurm.submitted


def test_links_in_the_models_are_followed_only_for_who_does_the_part(slurm, scans, out, tmp_path, capsys):
    run = make_models(tmp_path / "run")
    run.weights("3d", 1).rename(tmp_path / "weights")
    run.weights("3d", 1).symlink_to(tmp_path / "weights")
    give(run, scans, out, follow_links=True)
    assert work(out, "predict-0of2") == 2
    assert "--follow-links if you made the link" in on_one_line(capsys.readouterr().err)
    assert cli.status_of(["work", str(out.path), "predict-0of2", "--follow-links"]) == 0


def test_a_list_that_would_not_be_read_again_is_refused(slurm, run, scans, out, monkeypatch):
    monkeypatch.setattr("autoseg.work.prediction_request.why_too_large", lambda content: "has 9 values")
    with pytest.raises(InputError, match="5 images are too many for one list, which has 9 values; predict them into"):
        give(run, scans, out)
    assert not out.path.exists()


def test_an_image_that_cannot_be_predicted_leaves_the_others(slurm, run, scans, out, capsys):
    (scans / "scan_2.nii.gz").write_bytes(b"nothing")
    give(run, scans, out)
    assert work(out, "predict-1of2") == 0
    assert work(out, "predict-0of2") == 1
    states = States(out)
    state = states.of(units_of(out)[0])
    assert state.word == "failed" and "1 of 3 could not be predicted: scan_2" in on_one_line(state.why)
    assert len(label_maps(out.path)) == 4
    capsys.readouterr()
    autoseg.status(out.path)
    assert "4 of 5 images are predicted" in on_one_line(capsys.readouterr().out)


def test_who_is_done_helps_only_where_no_part_waits(slurm, run, scans, out):
    give(run, scans, out)
    own, other = units_of(out)
    assert cases_to_help(out, own, Watch()) == ()
    with locked(out.work / other.name, "predicting"):
        assert cases_to_help(out, own, Watch()) == ("scan_3", "scan_1")
        # so a part that is at the last one predicts the others', too
        assert work(out, own.name) == 0
    assert set(words(out).values()) == {"done"} and read_tries(out, other.name).count == 0


def test_a_prediction_by_hand_shares_the_images_with_the_parts(slurm, run, scans, out, monkeypatch):
    give(run, scans, out)
    assert work(out, "predict-0of2") == 0
    monkeypatch.chdir(scans.parent)
    # a part that runs
    with locked(out.path / FOLDER / "taking_part_too", "predicting"):
        by_hand = autoseg.predict(run.path, "scans", "out", device="cpu")
        assert set(by_hand.label_maps) == {"scan_1", "scan_3"}
    assert set(words(out).values()) == {"done"}
    # and by itself it begins anew
    assert len(autoseg.predict(run.path, "scans", "out", device="cpu").label_maps) == 5
    assert set(words(out).values()) == {"ready"}


@pytest.mark.parametrize("waits", [False, True])
def test_other_options_are_refused_while_a_part_waits_or_runs(slurm, run, scans, out, waits):
    give(run, scans, out)
    before = out.request.read_bytes()
    with ExitStack() as at_work:
        if waits:
            slurm.held = ("predict-1of2",)
            at_work.callback(setattr, slurm, "held", ())
        else:
            at_work.enter_context(locked(out.work / "predict-1of2", "predicting"))
        give(run, scans, out)
        with pytest.raises(RunFolderError, match=r"asked for something else \(--mirror\).*\(predict-1of2\).*cancel"):
            give(run, scans, out, mirror=False)
        with pytest.raises(RunFolderError, match=r"asked for something else \(the images\)"):
            give(run, [scans / "scan_0.nii.gz"], out)
        with pytest.raises(RunFolderError, match="were given to slurm, and are to be given to ray"):
            autoseg.predict(run.path, scans, out.path, engine="ray", device="cpu")
        assert out.request.read_bytes() == before and read_engine(out) == "slurm"
    give(run, scans, out, mirror=False)


def test_while_another_process_gives_its_parts_nothing_is_written_or_sent(slurm, run, scans, out):
    with locked(out.request, "giving units of work to slurm"):
        with pytest.raises(RunFolderError, match="another process is giving units of work to slurm here"):
            give(run, scans, out)
        assert not out.request.exists() and read_engine(out) is None
        give(run, scans, out, dry_run=True)
    give(run, scans, out)
    assert read_engine(out) == "slurm"


def script(capsys) -> tuple[list[str], dict[str, str], list[str], bool]:
    return tuple(json.loads(capsys.readouterr().out))


def test_a_dry_run_writes_nothing_and_prints_what_would_be_written(slurm, run, scans, out, capsys):
    give(run, scans, out, dry_run=True)
    units, written, marks, follow_links = script(capsys)
    assert not out.path.exists() and not slurm.submitted
    assert (units, marks, follow_links) == (["predict-0of2", "predict-1of2"], [], False)
    give(run, scans, out)
    assert written == {"predictions.json": out.request.read_text(encoding="utf-8")}


def test_a_dry_run_forgets_no_mark_of_a_changed_image_and_its_script_does(slurm, compared, run, scans, out, capsys):
    give(run, scans, out, evaluate=scans)
    for name in ("predict-0of2", "predict-1of2", "evaluate"):
        assert work(out, name) == 0
    before = {path: path.read_bytes() for path in out.path.rglob("*") if path.is_file()}
    capsys.readouterr()
    give(run, scans, out, evaluate=scans, dry_run=True)
    told = capsys.readouterr()
    assert told.out == "" and "Every unit of work is done" in on_one_line(told.err)
    (scans / "scan_1.nii.gz").write_bytes((scans / "scan_2.nii.gz").read_bytes())
    give(run, scans, out, evaluate=scans, dry_run=True)
    # the second part has the changed image, and what is compared changes with it
    assert script(capsys)[0::2] == (["predict-1of2", "evaluate"], ["scan_1"])
    assert {path: path.read_bytes() for path in out.path.rglob("*") if path.is_file()} == before
    assert set(words(out).values()) == {"done"}
    give(run, scans, out, evaluate=scans)
    assert slurm.submitted[-1] == ["predict-1of2", "evaluate"]


def test_a_dry_run_prints_the_units_that_are_sent(slurm, compared, run, scans, out, tmp_path, capsys):
    (tmp_path / "other").mkdir()
    for units, options in (
        (["predict-0of2", "predict-1of2"], {}),
        (["predict-1of2", "evaluate"], {"evaluate": scans}),
        (["evaluate"], {"evaluate": scans}),
        (["evaluate"], {"evaluate": tmp_path / "other"}),
        ([], {}),
        (["predict-0of2", "predict-1of2"], {"mirror": False}),
    ):
        capsys.readouterr()
        give(run, scans, out, dry_run=True, **options)
        printed = capsys.readouterr().out
        assert (json.loads(printed)[0] if printed else []) == units
        sent = len(slurm.submitted)
        give(run, scans, out, **options)
        assert slurm.submitted[sent:] == ([units] if units else [])
        if options != {"mirror": False} and units:
            assert work(out, units[0]) == 0


def test_an_image_that_was_left_out_and_changed_meanwhile_is_predicted_again(slurm, run, scans, out):
    give(run, scans, out)
    assert work(out, "predict-0of2") == work(out, "predict-1of2") == 0
    changed = scans / "scan_1.nii.gz"
    changed.rename(scans.parent / "away.nii.gz")
    give(run, scans, out)
    assert set(words(out).values()) == {"done"}
    changed.write_bytes((scans / "scan_2.nii.gz").read_bytes())
    give(run, scans, out)
    assert words(out) == {"predict-0of2": "done", "predict-1of2": "ready"}
    # nor is anything known of the images where the list of them is lost
    out.request.write_text("damaged", encoding="utf-8")
    give(run, scans, out)
    assert set(words(out).values()) == {"ready"}


@pytest.mark.parametrize("name", ["../x", "../../../x", "{outside}/x"])
def test_a_name_that_leads_out_of_the_folder_makes_and_removes_nothing_there(slurm, run, scans, out, tmp_path, name):
    name = name.format(outside=tmp_path / "outside")
    table = tmp_path / "cases.csv"
    (channel,) = read_plan(run.plan).channels
    table.write_text(
        f"case,{channel.name}\n{name},{scans / 'scan_0.nii.gz'}\nsound,{scans / 'scan_1.nii.gz'}\n", encoding="utf-8"
    )
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x").write_text("kept")
    (tmp_path / "x").write_text("kept")
    out.path.mkdir()
    (out.path / "x").write_text("kept")

    def everything():
        return {path for path in tmp_path.rglob("*") if out.path not in path.parents}

    before = everything()
    give(run, table, out)
    hidden = out.path / FOLDER
    assert work(out, "predict-0of1") == 1
    assert list(label_maps(out.path)) == ["sound.nii.gz"] and hidden.is_dir()
    (scans / "scan_0.nii.gz").write_bytes((scans / "scan_2.nii.gz").read_bytes())
    give(run, table, out)
    assert everything() == before
    assert (out.path / "x").read_text() == (tmp_path / "x").read_text() == "kept"
    with pytest.raises(IncompletePrediction, match="holds one of the characters"):
        autoseg.predict(run.path, table, out.path, device="cpu")
    assert everything() == before and (out.path / "x").read_text() == "kept"


def test_cancel(slurm, run, scans, out, capsys):
    give(run, scans, out)
    autoseg.cancel(out.path)
    assert "Taken back: predict-0of2. The same command goes on" in on_one_line(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"part": "1/2"}, "--part: is for --engine local"),
        ({"skip_existing": True}, "--skip-existing: is for --engine local"),
        ({"insecure": True}, "--insecure: is for --engine ray alone"),
        ({"fold": [7]}, "fold 7 is not trained"),
        ({"sequences": ["T9"]}, "--sequences T9"),
        ({"evaluate": "none"}, "--evaluate none: is no folder"),
        (
            {"evaluate": ".", "format": "dicom-seg", "seg_type": "fractional"},
            "label maps are compared, and no fractions",
        ),
    ],
)
def test_options_are_checked_before_anything_is_written(slurm, run, scans, out, options, told):
    with pytest.raises((InputError, RunFolderError), match=told):
        give(run, scans, out, **options)
    assert not out.path.exists() and not slurm.submitted


def test_a_run_folder_is_no_folder_of_predictions(slurm, run, scans):
    with pytest.raises(RunFolderError, match="is a RUN folder"):
        give(run, scans, run)
    with pytest.raises(InputError, match="--part out"):
        autoseg.predict(run.path, scans, scans.parent / "out", evaluate=scans, part="1/2")


def test_a_prediction_here_is_compared_too(compared, run, scans, out):
    (scans / "scan_2.nii.gz").write_bytes(b"nothing")
    with pytest.raises(IncompletePrediction, match="scan_2"):
        autoseg.predict(run.path, scans, out.path, device="cpu", evaluate=scans)
    assert compared == [(scans, out)]
