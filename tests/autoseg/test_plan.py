import pytest

from autoseg.errors import PlanError
from autoseg.plan import plan_text, read_plan, read_reasons, write_plan
from tests.autoseg.preprocessing.example_plan import plan


def test_a_patch_that_cannot_be_pooled_names_the_nearest_that_can(tmp_path):
    path = tmp_path / "plan.yaml"
    # the example's network halves each axis once
    path.write_text(
        plan_text(plan(), {}).replace("patch_size: [16, 16, 16]", "patch_size: [16, 17, 1]"), encoding="utf-8"
    )
    with pytest.raises(
        PlanError, match=r"configurations\.3d.*patch_size\[1\] = 17 .*16 or 18; patch_size\[2\] = 1 .*: 2$"
    ):
        read_plan(path)


def test_a_plan_and_its_reasons_survive_writing(tmp_path):
    reasons = {"seed": "any # number", "configurations.3d.spacing": "the median", "channels": "one sequence"}
    write_plan(tmp_path / "plan.yaml", plan(), reasons)
    assert read_plan(tmp_path / "plan.yaml") == plan()
    assert read_reasons(tmp_path / "plan.yaml") == reasons


def test_what_is_not_yaml_names_the_file(tmp_path):
    (tmp_path / "plan.yaml").write_text("a: [1, 2", encoding="utf-8")
    with pytest.raises(PlanError, match=r"plan\.yaml: not valid YAML"):
        read_plan(tmp_path / "plan.yaml")
