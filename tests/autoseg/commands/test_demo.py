import autoseg
from tests.words import on_one_line


def test_the_demonstration_draws_its_cases_runs_and_says_that_they_are_synthetic(calls, tmp_path, capsys):
    autoseg.demo(tmp_path / "demo", cases=5, device="cpu")
    assert len(calls.trained) == 5 and calls.reported == ["3d"]
    assert calls.fitted[0]["budget"] == 8 * 60
    shown = on_one_line(capsys.readouterr().out)
    assert "data are synthetic" in shown, "before anything is drawn; the results say it again"
    table = tmp_path / "demo" / "synthetic_spine" / "cases.csv"
    drawn = table.stat().st_mtime_ns
    autoseg.demo(tmp_path / "demo", cases=5, device="cpu")
    assert table.stat().st_mtime_ns == drawn and len(calls.trained) == 5
