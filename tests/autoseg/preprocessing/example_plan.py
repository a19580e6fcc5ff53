"""Plans for tests of preprocessing: only what preprocessing reads is meant seriously."""

from autoseg.image.labels import Labels
from autoseg.plan.configuration import Configuration, Network, Prediction, Training
from autoseg.plan.plan import Channel, ForegroundIntensity, Normalization, Plan

CT_FOREGROUND = ForegroundIntensity(mean=80.0, sd=40.0, median=85.0, percentile_00_5=-50.0, percentile_99_5=220.0)
LABELS = Labels(values=(0, 1, 2), names=("background", "anterior", "posterior"))


def channel(normalization: Normalization = "z_score", *, inside: bool = False, name: str = "MR") -> Channel:
    return Channel(name=name, normalization=normalization, inside_nonzero_mask=inside, foreground=CT_FOREGROUND)


def configuration(spacing: tuple[float | None, float | None, float | None]) -> Configuration:
    network = Network(
        architecture="plain",
        features=(8, 16),
        strides=((1, 1, 1), (2, 2, 2)),
        kernel_sizes=((3, 3, 3), (3, 3, 3)),
        encoder_blocks=(2, 2),
        decoder_blocks=(2,),
    )
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
    return Configuration(
        spacing=spacing,
        median_shape=(32.0, 32.0, 32.0),
        patch_size=(16, 16, 16),
        batch_size=2,
        slice_axis=None,
        network=network,
        training=training,
        prediction=Prediction(overlap=0.5, mirror=()),
    )


def plan(
    spacing: tuple[float | None, float | None, float | None] = (1.0, 1.0, 1.0),
    *,
    channels: tuple[Channel, ...] | None = None,
    labels: Labels = LABELS,
    seed: int = 1,
) -> Plan:
    return Plan(
        dataset="example",
        orientation="canonical",
        transpose_forward=(0, 1, 2),
        memory_gb=8.0,
        device="cpu",
        time_budget_seconds=None,
        seed=seed,
        channels=channels or (channel(),),
        labels=labels,
        configurations={"3d": configuration(spacing)},
    )
