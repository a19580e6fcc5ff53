import errno
import functools
import inspect
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import autoseg
from autoseg.commands import cli
from autoseg.commands.command import option_of, types_of_options
from autoseg.commands.guards import configurations_of
from autoseg.errors import DatasetError, PartialFailure, PlanError
from autoseg.image.image import Image, write_image
from tests.autoseg.small_dataset import draw_case, geometry, make_dataset
from tests.example_plan import example_plan

COMMANDS = [cli.name_of_command(name) for name in autoseg.COMMANDS]


def command(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "autoseg.commands.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        **options,
    )


@pytest.fixture
def asked(monkeypatch):
    """Every public function replaced by one that writes down its name and its arguments by name."""
    calls = []
    for name in autoseg.COMMANDS:
        replace(monkeypatch, name, lambda name, arguments: calls.append((name, arguments)))
    return calls


def replace(monkeypatch, name, by):
    """Replace a public function by one of the same signature that calls `by` with its name and its arguments."""
    signature = inspect.signature(function := getattr(autoseg, name))

    @functools.wraps(function)
    def stand_in(*arguments, **options):
        by(name, signature.bind(*arguments, **options).arguments)

    monkeypatch.setattr(autoseg, name, stand_in)


def failing(monkeypatch, error):
    def raises(name, arguments):
        raise error

    replace(monkeypatch, "run", raises)
    return cli.status_of(["run", "data", "-o", "RUN"])


@pytest.mark.parametrize("name", COMMANDS)
def test_help_explains_itself_with_an_example(name, capsys):
    assert cli.status_of([name, "--help"]) == 0
    shown = capsys.readouterr().out
    example = re.search(r"Example:\s+autoseg (\S+)", shown)
    assert example and example.group(1) == name
    for argument in cli.make_app()[name].assemble_argument_collection(parse_docstring=True):
        assert argument.parameter.help, argument.name


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_of_the_help_are_valid(name, capsys, asked):
    cli.status_of([name, "--help"])
    example = re.search(r"Example:\s+autoseg (.*?)\s*$", capsys.readouterr().out, re.DOTALL).group(1)
    assert cli.status_of(example.split()) == 0
    assert cli.name_of_command(asked[0][0]) == name


def test_the_package_is_the_command_too():
    done = subprocess.run([sys.executable, "-m", "autoseg", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == autoseg.__version__


def test_help_imports_nothing_that_takes_long():
    code = (
        "import sys; from autoseg.commands import cli; cli.status_of(['run', '--help']); "
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8")
    *shown, imported = done.stdout.splitlines()
    assert any("--time-budget" in line for line in shown)
    assert not {"torch", "pandas", "scipy", "SimpleITK", "sklearn", "matplotlib", "pydicom"} & set(imported.split())


def test_every_command_has_a_summary_and_an_example():
    assert set(cli.SUMMARIES) == set(cli.EXAMPLES) == set(autoseg.COMMANDS)


def test_each_option_is_explained_in_the_help_and_in_python():
    for name in autoseg.COMMANDS:
        function = getattr(autoseg, name)
        explained = function.__doc__.split("Args:\n")[1]
        for option, kind in types_of_options(function).items():
            text = option_of(kind).help
            assert text and re.search(rf"^    {option} \(.+\): {re.escape(text)}$", explained, re.M), (
                f"{name}: {option}"
            )


def test_the_overview_says_what_each_function_says():
    for name in autoseg.COMMANDS:
        assert cli.SUMMARIES[name] == getattr(autoseg, name).__doc__.splitlines()[0]


def test_the_overview_imports_nothing_that_computes():
    code = "import sys; from autoseg.commands import cli; cli.status_of(['--help']); print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8")
    assert done.stdout.splitlines()[-1] == "False" and "plan-and-preprocess" in done.stdout


def test_folders_are_not_confused_by_their_order(asked, capsys):
    assert cli.status_of(["run", "data", "RUN"]) == 2
    assert cli.status_of(["evaluate", "labels", "predictions", "report"]) == 2
    assert asked == []


def test_options_arrive(asked):
    line = (
        "run data -o RUN --config 2d --config 3d --time-budget 1h30m --memory 6.5 --device cpu --architecture resenc_m"
    )
    assert cli.status_of([*line.split(), "--replan", "--workers", "2", "--threads", "3", "--epochs", "4"]) == 0
    ((name, options),) = asked
    assert name == "run"
    assert options == {
        "dataset": Path("data"),
        "output": Path("RUN"),
        "config": ["2d", "3d"],
        "time_budget": "1h30m",
        "memory": 6.5,
        "device": "cpu",
        "architecture": "resenc_m",
        "replan": True,
        "workers": 2,
        "threads": 3,
        "epochs": 4,
    }


def test_configuration_is_3d_unless_named(asked):
    cli.status_of(["train", "RUN"])
    ((_, options),) = asked
    assert set(options) == {"run"}
    defaults = inspect.signature(autoseg.train).parameters
    assert (defaults["config"].default, defaults["fold"].default) == (None, "all")
    volumes, slices = example_plan(), example_plan(configurations={"2d": example_plan().configuration("3d")})
    assert configurations_of(None, volumes) == ("3d",) and configurations_of(None, slices) == ("2d",)
    assert configurations_of("2.5d", volumes) == ("2.5d",)


@pytest.mark.parametrize(("typed", "fold"), [("all", "all"), ("3", 3)])
def test_fold_is_a_number_or_all(asked, typed, fold):
    assert cli.status_of(["train", "RUN", "--fold", typed]) == 0
    assert asked[0][1].get("fold", "all") == fold


@pytest.mark.parametrize(("typed", "mirror"), [([], None), (["--mirror"], True), (["--no-mirror"], False)])
def test_mirroring_is_planned_unless_asked(asked, typed, mirror):
    assert cli.status_of(["predict", "RUN", "-i", "a.nii.gz", "b.nii.gz", "-o", "OUT", *typed]) == 0
    assert asked[0][1].get("mirror") is mirror
    assert [str(path) for path in asked[0][1]["images"]] == ["a.nii.gz", "b.nii.gz"]


def test_several_configurations_predict_together(asked):
    line = "predict RUN -i a.nii.gz -o OUT --config 2d T1+T2.3d --no-post-processing"
    assert cli.status_of(line.split()) == 0
    assert asked[0][1]["config"] == ["2d", "T1+T2.3d"] and asked[0][1]["post_processing"] is False
    cli.status_of(["predict", "RUN", "-i", "a.nii.gz", "-o", "OUT"])
    assert set(asked[1][1]) == {"run", "images", "output"}


def test_options_of_the_selection_arrive(asked):
    line = "select RUN --config 2d 3d --operating-point sensitivity=0.9 --workers 2"
    assert cli.status_of(line.split()) == 0
    assert asked[0][1] == {
        "run": Path("RUN"),
        "config": ["2d", "3d"],
        "operating_point": "sensitivity=0.9",
        "workers": 2,
    }


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("run data", "--output is missing"),
        ("run data -o", "requires an argument"),
        ("run data -o RUN --config 4d", "4d"),
        ("run data -o RUN --nonsense", "--nonsense"),
        ("train RUN --fold first", "first"),
        ("trian RUN", "trian"),
        ("evaluate --reference a -o b", "--prediction is missing"),
    ],
)
def test_a_mistyped_command_exits_with_2_and_names_the_mistake(asked, line, named, capsys):
    assert cli.status_of(line.split()) == 2
    shown = capsys.readouterr()
    assert named in shown.err and shown.out == ""
    assert asked == []


def test_each_problem_of_a_data_set_has_its_line(monkeypatch, capsys):
    problems = [f"case_{i}: label value {i} is not declared [really]" for i in range(3)]
    assert failing(monkeypatch, DatasetError(problems)) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Error: 3 problems in the data set:"
    assert [line.strip() for line in lines[1:]] == problems


def test_advice_about_a_data_set_is_not_counted_as_a_problem(monkeypatch, capsys):
    error = pickle.loads(pickle.dumps(DatasetError(["a: odd", "b: odd"], "mend them")))
    assert failing(monkeypatch, error) == 2
    assert capsys.readouterr().err == "Error: 2 problems in the data set:\n  a: odd\n  b: odd\nmend them\n"


@pytest.mark.parametrize(("error", "status"), [(PlanError("plan.yaml: odd"), 2), (PartialFailure("a: unreadable"), 1)])
def test_a_users_error_is_one_message(monkeypatch, capsys, error, status):
    assert failing(monkeypatch, error) == status
    assert capsys.readouterr().err == f"Error: {error}\n"


def test_a_long_message_is_not_broken_into_lines(monkeypatch, capsys):
    failing(monkeypatch, PlanError("word " * 100))
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_a_disk_that_refuses_is_one_message(monkeypatch, capsys, number):
    assert failing(monkeypatch, OSError(number, os.strerror(number), "RUN/plan.yaml")) == 2
    shown = capsys.readouterr().err
    assert shown.startswith(f"Error: RUN/plan.yaml: {os.strerror(number)}; ") and len(shown.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["predict", "RUN", "-i", "in", "-o", "out", "with", "space"],
            'with space: are 2 words too many; put quotes around a path with spaces ("out with space"), '
            "or leave them out",
        ),
        (
            ["predict", "RUN", "-o", "my", "out", "-i", "in"],
            'out: is one word too many; put quotes around a path with spaces ("my out"), or leave it out',
        ),
        (["train", "my", "RUN"], 'RUN: is one word too many; put quotes around a path with spaces ("my RUN"), or'),
    ],
)
def test_a_path_with_spaces_and_no_quotes_is_told_to_need_them(asked, capsys, words, expected):
    assert cli.status_of(words) == 2 and not asked
    shown = capsys.readouterr().err
    assert shown.startswith(f"Error: {expected}") and "Unused" not in shown


def test_a_path_below_a_file_is_one_message(tmp_path):
    (tmp_path / "file").touch()
    done = command("phantom", "-o", tmp_path / "file" / "data", "--cases", "1")
    assert done.returncode == 2
    assert str(tmp_path / "file") in done.stderr and "Traceback" not in done.stderr


def test_the_phantom_is_drawn_as_asked(asked):
    assert cli.status_of(["phantom", "-o", "data", "--seed", "3", "--kind", "small", "--missing", "0.3"]) == 0
    ((name, options),) = asked
    assert name == "phantom"
    assert options == {"output": Path("data"), "seed": 3, "kind": "small", "missing": 0.3}


def test_ctrl_c_says_how_to_go_on(monkeypatch, capsys):
    assert failing(monkeypatch, KeyboardInterrupt()) == 130
    assert "same command begins at the start" in capsys.readouterr().err


def test_an_unknown_error_keeps_its_traceback(monkeypatch):
    with pytest.raises(ZeroDivisionError):
        failing(monkeypatch, ZeroDivisionError())


def test_sigterm_ends_in_a_message():
    code = (
        "import autoseg, functools, time; from autoseg.commands import cli\n"
        "@functools.wraps(autoseg.run)\n"
        "def run(*a, **k): print('begun', flush=True); time.sleep(600)\n"
        "autoseg.run = run; cli.main(['run', 'data', '-o', 'RUN'])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 128 + signal.SIGTERM
    assert "same command begins at the start" in errors and "Traceback" not in errors


def test_a_bad_data_set_ends_with_status_2_without_a_traceback_and_nothing_written(tmp_path):
    data = make_dataset(tmp_path / "data", cases=3)
    _, label = draw_case(0)
    write_image(data / "labelsTr" / "ball_0.nii.gz", Image(label[None] + 0.5, geometry()))
    (data / "imagesTr" / "ball_1_0000.nii.gz").write_bytes(b"\x1f\x8b broken")
    began = time.monotonic()
    done = command("run", data, "-o", tmp_path / "run", "--device", "cpu", "--workers", "1")
    assert done.returncode == 2, done.stderr
    assert "ball_0" in done.stderr and "ball_1" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not (tmp_path / "run").exists()
    assert time.monotonic() - began < 60


def test_no_run_folder_ends_with_status_2(tmp_path):
    for arguments in (("train", tmp_path / "none"), ("predict", tmp_path / "none", "-i", tmp_path, "-o", tmp_path)):
        done = command(*arguments, env={**os.environ, "OMP_NUM_THREADS": "1"})
        assert done.returncode == 2
        assert done.stderr.startswith("Error: ") and str(tmp_path / "none") in done.stderr
        assert "Traceback" not in done.stderr


def test_any_planned_configuration_can_be_trained_and_predicted_with(asked):
    assert cli.status_of(["run", "data", "-o", "RUN", "--config", "2.5d"]) == 0
    assert cli.status_of(["train", "RUN", "--config", "T1+T2.2d", "all.3d"]) == 0
    line = "predict RUN -i a.nii.gz -o OUT --config all.3d --sequences T1 STIR"
    assert cli.status_of(line.split()) == 0
    assert [options["config"] for _, options in asked] == [["2.5d"], ["T1+T2.2d", "all.3d"], ["all.3d"]]
    assert asked[-1][1]["sequences"] == ["T1", "STIR"]
    cli.status_of(["predict", "RUN", "-i", "a.nii.gz", "-o", "OUT"])
    assert "sequences" not in asked[-1][1]


def test_a_command_in_another_thread_ends_with_its_status(tmp_path):
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(cli.status_of, ["train", str(tmp_path / "nothing")]).result() == 2


def test_a_removed_current_folder_is_named_as_the_cause(tmp_path, monkeypatch, capsys):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert cli.status_of(["phantom", "-o", "out", "--cases", "2"]) == 2
    assert "the current folder was removed" in capsys.readouterr().err
