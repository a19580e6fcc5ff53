"""The notebooks run from nothing, in the order of the site, in one kernel that forgets between them."""

import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ORDER = ("first_data_set", "predict_in_a_loop", "look_at_results", "compare_two_runs")
NEEDED = ("nbclient", "ipykernel", "ipyniivue")
FORGET = "%reset -f"
MOST_BYTES = 60_000
"""Of a notebook with its outputs: tables, and no pictures."""


def run_all(folder: Path) -> dict:
    """Run the notebooks in a folder; returns them with their outputs, by name."""
    import nbformat
    from nbclient import NotebookClient

    read = {name: nbformat.read(ROOT / "examples" / f"{name}.ipynb", as_version=4) for name in ORDER}
    whole = nbformat.v4.new_notebook(metadata=read["first_data_set"].metadata)
    for notebook in read.values():
        whole.cells += [nbformat.v4.new_code_cell(FORGET), *notebook.cells]
    # on a busy machine an output may come long after its cell has ended
    patience = {"timeout": 600, "iopub_timeout": 120}
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(whole, kernel_name="python3", resources=resources, **patience).execute()
    return read


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_notebooks_run_and_show_what_they_say(tmp_path):
    for module in NEEDED:
        pytest.importorskip(module, reason=f"{module} is not installed; the extra dev has it")
    read = run_all(tmp_path)
    shown = {name: str([cell.get("outputs", "") for cell in notebook.cells]) for name, notebook in read.items()}
    assert "cross-validated" in shown["first_data_set"] and "<td>ball</td>" in shown["first_data_set"]
    assert "3 predicted in" not in shown["predict_in_a_loop"] and "6 predicted in" in shown["predict_in_a_loop"]
    assert "every voxel is 0" in shown["predict_in_a_loop"] and "spacing along z is 20 mm" in shown["predict_in_a_loop"]
    assert shown["look_at_results"].count("application/vnd.jupyter.widget-view+json") == 2
    assert re.search(r"RUN2 - RUN: mean Dice [+-]0\.\d+", shown["compare_two_runs"])
    assert (tmp_path / "RUN/report/report.html").is_file() and len(list((tmp_path / "predictions").glob("*.gz"))) == 6


def test_every_notebook_is_run_and_is_small():
    assert sorted(ORDER) == sorted(path.stem for path in (ROOT / "examples").glob("*.ipynb"))
    for path in (ROOT / "examples").glob("*.ipynb"):
        assert path.stat().st_size < MOST_BYTES, path
        assert "/home" not in path.read_text(encoding="utf-8") and "/tmp" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ORDER)
def test_notebooks_name_what_autoseg_has(name):
    import autoseg

    cells = json.loads((ROOT / "examples" / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    for cell in cells:
        if cell["cell_type"] == "code":
            tree = ast.parse("".join(cell["source"]))
            used = {
                n.attr
                for n in ast.walk(tree)
                if isinstance(n, ast.Attribute) and getattr(n.value, "id", "") == "autoseg"
            }
            assert used <= {*autoseg.__all__}
