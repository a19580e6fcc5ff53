import pytest
from pydantic import ValidationError

from autoseg.errors import PlanError
from autoseg.plan.plan import plan_text, read_plan, read_reasons, write_plan
from tests.example_plan import (
    example_channel,
    example_configuration,
    example_network,
    example_plan,
    with_configuration,
)


def test_a_patch_that_cannot_be_pooled_names_the_nearest_that_can(tmp_path):
    path = tmp_path / "plan.yaml"
    halving = example_network(strides=((1, 1, 1), (2, 2, 2)))
    configuration = example_configuration(patch_size=(16, 16, 16), network=halving)
    text = plan_text(example_plan(configurations={"3d": configuration}), {})
    path.write_text(text.replace("patch_size: [16, 16, 16]", "patch_size: [16, 17, 1]"), encoding="utf-8")
    with pytest.raises(
        PlanError, match=r"configurations\.3d.*patch_size\[1\] = 17 .*16 or 18; patch_size\[2\] = 1 .*: 2$"
    ):
        read_plan(path)


def test_a_plan_and_its_reasons_survive_writing(tmp_path):
    reasons = {"seed": "any # number", "configurations.3d.spacing": "the median", "channels": "one sequence"}
    write_plan(tmp_path / "plan.yaml", example_plan(), reasons)
    assert read_plan(tmp_path / "plan.yaml") == example_plan()
    assert read_reasons(tmp_path / "plan.yaml") == reasons


def test_what_is_not_yaml_names_the_file(tmp_path):
    (tmp_path / "plan.yaml").write_text("a: [1, 2", encoding="utf-8")
    with pytest.raises(PlanError, match=r"plan\.yaml: not valid YAML"):
        read_plan(tmp_path / "plan.yaml")


def edited(tmp_path, **changes):
    """A plan file with a second configuration, `cell`, that has the first one's fields but for `changes`."""
    whole = with_configuration(example_plan(channels=(example_channel("T1"),)), spacing=(1.0, 1.0, 1.0))
    cell = whole.configurations["3d"].changed(**changes)
    # as a person may edit it: not validated
    written = whole.model_copy(update={"configurations": whole.configurations | {"cell": cell}})
    write_plan(tmp_path / "plan.yaml", written, {})
    return tmp_path / "plan.yaml"


def test_a_configuration_reads_the_cases_of_another_or_its_own(tmp_path):
    read = read_plan(edited(tmp_path, preprocessed_as="3d", sequences=("T1",)))
    assert read.preprocessed_as("cell") == "3d"
    assert read.preprocessed_as("3d") == "3d"
    with pytest.raises(PlanError, match="'2d' is not planned"):
        read.preprocessed_as("2d")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sequences": ("T1", "T2")}, r"cell\.sequences: no channel is called T2; there are T1"),
        ({"sequences": ()}, r"cell\.sequences: is empty"),
        ({"sequences": ("T1", "T1")}, r"cell\.sequences: names one twice"),
        ({"neighbours": 1}, r"neighbours: a 3D configuration"),
        ({"preprocessed_as": "3d", "spacing": (2.0, 1.0, 1.0)}, r"cell\.spacing: is not that of 3d"),
    ],
)
def test_an_input_that_cannot_be_made_is_refused(tmp_path, changes, said):
    with pytest.raises(PlanError, match=said):
        read_plan(edited(tmp_path, **changes))


def test_lesions_are_not_pasted_where_there_are_regions_or_ignored_voxels(tmp_path):
    plan = example_plan()
    training = plan.configurations["3d"].training.changed(pasted_lesions=0.5)
    pasting = with_configuration(plan, training=training)
    with pytest.raises(ValidationError, match=r"configurations\.3d\.training\.pasted_lesions: not with regions"):
        pasting.changed(labels=plan.labels.changed(ignore=9))


def test_regions_and_the_ignore_label_come_back_from_a_plan_file(tmp_path):
    region = {"name": "any", "values": (1, 2), "value": 1}
    lesion = {"name": "lesion", "values": (2,), "value": 2}
    plan = example_plan(labels=example_plan().labels.changed(regions=(region, lesion), ignore=3))
    write_plan(tmp_path / "plan.yaml", plan, {})
    assert read_plan(tmp_path / "plan.yaml") == plan
    assert plan.labels.foreground == ("any", "lesion")
