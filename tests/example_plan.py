"""The plan that tests start from: one channel and one small 3D configuration, with every extra turned off.

A test names what it relies on by keyword. Such changes are validated like the fields of a plan file, so that no
test holds a plan that no file could hold.
"""

from autoseg.image.labels import Labels
from autoseg.plan.configuration import Configuration, Network, Prediction, Training
from autoseg.plan.plan import Channel, ForegroundIntensity, Plan
from autoseg.plan.region import Region

LABELS = Labels(values=(0, 1, 2), names=("background", "organ", "lesion"))
FOREGROUND = ForegroundIntensity(mean=0, sd=1, median=0, percentile_00_5=-1, percentile_99_5=1)


def example_channel(name: str = "T1", **changes: object) -> Channel:
    """A channel that is z-scored over the whole image."""
    channel = Channel(name=name, normalization="z_score", inside_nonzero_mask=False, foreground=FOREGROUND)
    return channel.changed(**changes)


def example_network(**changes: object) -> Network:
    """A network of two stages that halves each axis once."""
    network = Network(
        architecture="plain",
        features=(4, 8),
        strides=((1, 1, 1), (2, 2, 2)),
        kernel_sizes=((3, 3, 3), (3, 3, 3)),
        encoder_blocks=(1, 1),
        decoder_blocks=(1,),
    )
    return network.changed(**changes)


def flat_changes(axis: int) -> dict[str, object]:
    """Fields that make the example configuration one of single slices along an axis (0 = z, 1 = y, 2 = x)."""
    along = [1 if other == axis else 2 for other in range(3)]
    kernel = [1 if other == axis else 3 for other in range(3)]
    return {
        "slice_axis": axis,
        "patch_size": tuple(1 if other == axis else 16 for other in range(3)),
        "network": example_network(strides=((1, 1, 1), along), kernel_sizes=(kernel, kernel)),
    }


def example_training(**changes: object) -> Training:
    """A schedule of one step, without augmentation and without a time limit."""
    training = Training(
        iterations=1,
        iterations_per_epoch=1,
        optimizer="sgd",
        learning_rate=0.01,
        warmup=0.0,
        weight_decay=0.0,
        gradient_clip=12.0,
        average_decay=0.0,
        oversample_foreground=0.33,
        batch_dice=False,
        deep_supervision=False,
        rotation=(0.0, 0.0, 0.0),
        scaling=(1.0, 1.0),
        elastic=0.0,
        mirror=(),
        validate_every=0,
        seconds=None,
    )
    return training.changed(**changes)


def example_configuration(**changes: object) -> Configuration:
    """A 3D configuration of patches of 16 voxels along each axis, 1 mm each."""
    configuration = Configuration(
        spacing=(1.0, 1.0, 1.0),
        median_shape=(32.0, 32.0, 32.0),
        patch_size=(16, 16, 16),
        batch_size=2,
        slice_axis=None,
        network=example_network(),
        training=example_training(),
        prediction=Prediction(overlap=0.5, mirror=()),
    )
    return configuration.changed(**changes)


def example_plan(**changes: object) -> Plan:
    """A plan of the configuration `3d`."""
    plan = Plan(
        dataset="example",
        orientation="canonical",
        transpose_forward=(0, 1, 2),
        memory_gb=8.0,
        device="cpu",
        time_budget_seconds=None,
        seed=1,
        channels=(example_channel(),),
        labels=LABELS,
        configurations={"3d": example_configuration()},
    )
    return plan.changed(**changes)


def example_region(**changes: object) -> Region:
    """The whole image, whatever its length is, as a region without a margin."""
    fields = {
        "frame": "image",
        "lower": (0.0, 0.0, 0.0),
        "upper": (1.0, 1.0, 1.0),
        "margin_mm": 0.0,
        "shortest_mm": (1.0, 1.0, 1.0),
        "longest_mm": (1000.0, 1000.0, 1000.0),
    }
    return Region.model_validate(fields | changes)


def with_configuration(plan: Plan, name: str = "3d", **changes: object) -> Plan:
    """The plan with other fields of one of its configurations."""
    changed = plan.configuration(name).changed(**changes)
    return plan.changed(configurations=plan.configurations | {name: changed})


def with_training(plan: Plan, name: str = "3d", **changes: object) -> Plan:
    """The plan with other training settings of one of its configurations."""
    return with_configuration(plan, name, training=plan.configuration(name).training.changed(**changes))
