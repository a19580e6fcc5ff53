"""Foolish edits of plan.yaml, drawn from the types of its fields: refused by name, or trained by as the documents say.

Values lie inside the bounds, at them and beyond them, or are of another type; fields are deleted or unknown; and
several fields are edited so that they fit together, as a patch with its strides.
"""

from __future__ import annotations

import csv
import itertools
import json
import math
import types
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import hypothesis
import hypothesis.strategies as st
import numpy as np
from pydantic import BaseModel
from ruamel.yaml import YAML

from autoseg.errors import AutosegError
from autoseg.plan.configuration import Configuration
from autoseg.plan.network_input import input_channels
from autoseg.plan.plan import Plan, read_plan
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.preprocessed_case import read_record
from tests.torture.commands import Ended, carry_out
from tests.torture.finished_run import AFTER_TRAINING, CASES, SHAPE, Made, copy_run, make_finished_run
from tests.torture.outcome import Outcome
from tests.torture.recorded_steps import record_steps

STEPS = 3
SECONDS = 600.0
WRONG = (None, "", "x", "3", True, 1.5, 0, -1, 2, 10**12, 10**30, 1e308, math.nan, math.inf, -math.inf, [], [1], {})
SPACING = (1.5, 1.0, 1.0)
"""Spacing (z, y, x) of the data set in mm."""

MOST_MULTIPLICATIONS = 6e10
MOST_BYTES = 2e9
MOST_VOXELS = 3e6
"""What is costlier than this is not tried: it takes longer than a minute, or more memory than a small machine has."""

Path_ = tuple[str | int, ...]


@dataclass(frozen=True)
class Edit:
    """One edited field.

    Args:
        path: keys from the top of the file to the field.
        value: its new value.
        kind: whether the field is set or deleted.
    """

    path: Path_
    value: object = None
    kind: str = "set"

    def __str__(self) -> str:
        dotted = ".".join(map(str, self.path))
        return f"{dotted} deleted" if self.kind == "delete" else f"{dotted}: {self.value!r}"


def attempts(folder: Path, seed: int) -> Iterator[Outcome]:
    """Foolish edits, without end."""
    made = make_finished_run(folder)
    planned = made.copied(folder / "planned", AFTER_TRAINING)
    for path in (planned.plan, planned.planned):
        _apply(
            [Edit(("configurations", name, "training", "iterations_per_epoch"), STEPS) for name in ("2d", "3d")], path
        )
        _apply([Edit(("configurations", "2.5d", "training", "iterations_per_epoch"), STEPS)], path)
    drawing = foolish_edits(read_plan(planned.plan))
    for number in itertools.count():
        name, edits = _draw(drawing, seed * 1_000_003 + number)
        yield _tried(made, planned, folder / "edited", name, edits)


def _draw(strategy: st.SearchStrategy[Any], seed: int) -> Any:
    """An example of a strategy, the same for the same seed."""
    found: list[Any] = []

    # the first example is always the simplest one, and later ones are made from earlier ones
    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=2,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(strategy)
    def collect(value: Any) -> None:
        found.append(value)

    collect()
    return found[-1]


# what is drawn


def foolish_edits(plan: Plan) -> st.SearchStrategy[tuple[str, list[Edit]]]:
    """The name of a configuration, and one to three edits of it or of what belongs to all of them."""

    def of(name: str) -> st.SearchStrategy[tuple[str, list[Edit]]]:
        fields = [
            *_fields(Plan, ()),
            *_fields(Plan.model_fields["labels"].annotation, ("labels",)),
            *(f for n in range(len(plan.channels)) for f in _fields(_channel(), ("channels", n))),
            # those of the configuration weigh more
            *(3 * list(_fields(Configuration, ("configurations", name)))),
        ]
        single = st.sampled_from(fields).flatmap(lambda found: _edit(*found))
        several = st.lists(single, min_size=1, max_size=3, unique_by=lambda edit: edit.path)
        return st.tuples(st.just(name), several | several | _consistent(name, plan.configuration(name)))

    return st.sampled_from(("3d", "3d", "2d", "2.5d")).flatmap(of)


def _channel() -> type[BaseModel]:
    found: type[BaseModel] = typing.get_args(Plan.model_fields["channels"].annotation)[0]
    return found


def _fields(model: Any, path: Path_) -> Iterator[tuple[Path_, Any]]:
    """Every field of a model and of the models in it, with its type; its bounds are part of the type."""
    for name, info in model.model_fields.items():
        hint = typing.Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation
        yield (*path, name), hint
        inner = [a for a in (info.annotation, *typing.get_args(info.annotation)) if _is_model(a)]
        # the channels and the configurations are walked through by name
        if inner and name not in ("channels", "configurations", "labels"):
            yield from _fields(inner[0], (*path, name))


def _is_model(hint: object) -> bool:
    return isinstance(hint, type) and issubclass(hint, BaseModel)


def _edit(path: Path_, hint: Any) -> st.SearchStrategy[Edit]:
    set_to = st.builds(Edit, st.just(path), _values(hint))
    wrong = st.builds(Edit, st.just(path), st.sampled_from(WRONG))
    other = st.sampled_from([Edit(path, kind="delete"), Edit((*path[:-1], f"{path[-1]}_"), 1)])
    return st.one_of(set_to, set_to, set_to, wrong, other)


def _values(hint: Any, bounds: Sequence[Any] = ()) -> st.SearchStrategy[Any]:
    """Values of a type, mostly inside its bounds."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _values(inner[0], [*bounds, *_constraints(inner[1:])])
    if origin is typing.Literal:
        return st.sampled_from(inner)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([_values(one, bounds) for one in inner])
    if origin is tuple:
        if inner[-1] is Ellipsis:
            return st.lists(_values(inner[0]), max_size=4)
        exact = st.tuples(*map(_values, inner)).map(list)
        return st.one_of(exact, exact, exact, st.lists(_values(inner[0]), max_size=4))
    if hint is type(None):
        return st.none()
    if hint is bool:
        return st.booleans()
    if hint is str:
        return st.sampled_from(("T1", "STIR", "2d", "3d", "x", "", "../x", "a\nb")) | st.text(max_size=4)
    if hint in (int, float):
        return _numbers(hint, bounds)
    return st.sampled_from(({}, None, [], "x"))


def _constraints(metadata: Sequence[Any]) -> list[Any]:
    """The bounds in what is annotated, those of pydantic's `Field` included."""
    return [c for found in metadata for c in getattr(found, "metadata", [found])]


def _numbers(kind: type, bounds: Sequence[Any]) -> st.SearchStrategy[Any]:
    """Numbers near the lower bound, at both bounds, and a little beyond them."""
    low = next((v for b in bounds for a in ("ge", "gt") if (v := getattr(b, a, None)) is not None), -100)
    high = next((v for b in bounds for a in ("le", "lt") if (v := getattr(b, a, None)) is not None), 1_000)
    near = min(high, low + 40)
    if kind is int:
        return st.one_of(
            st.integers(low, near), st.integers(low, near), st.sampled_from((low - 1, low, high, high + 1))
        )
    inside = st.floats(low, near, allow_nan=False)
    edges = st.sampled_from((low, high, np.nextafter(low, -np.inf).item(), np.nextafter(high, np.inf).item(), 5e-324))
    return st.one_of(inside, inside, edges)


@st.composite
def _consistent(draw: st.DrawFn, name: str, planned: Configuration) -> list[Edit]:
    """Another network with a patch that it pools, another batch, spacing and training, all within reason."""
    flat = planned.slice_axis
    stages = draw(st.integers(1, 4))
    factors = st.sampled_from((1, 2, 2, 3))

    def of_axes(values: st.SearchStrategy[int]) -> list[int]:
        return [1 if axis == flat else draw(values) for axis in range(3)]

    strides = [[1, 1, 1], *(of_axes(factors) for _ in range(stages - 1))]
    pooled = [math.prod(stage[axis] for stage in strides) for axis in range(3)]
    network: dict[str, object] = {
        "architecture": draw(st.sampled_from(("plain", "plain", "resenc_m", "resenc_xl"))),
        "features": [draw(st.integers(1, 12)) for _ in range(stages)],
        "strides": strides,
        "kernel_sizes": [of_axes(st.sampled_from((1, 3, 3, 5))) for _ in range(stages)],
        "encoder_blocks": [draw(st.integers(1, 2)) for _ in range(stages)],
        "decoder_blocks": [draw(st.integers(1, 2)) for _ in range(stages - 1)],
    }
    patch = [1 if axis == flat else factor * draw(st.integers(1, 8)) for axis, factor in enumerate(pooled)]
    own: dict[str, object] = {
        "patch_size": patch,
        "batch_size": draw(st.integers(1, 4)),
        "availability_code": draw(st.booleans()),
        "sequences": draw(st.sampled_from((None, ["T1"], ["STIR"], ["STIR", "T1"]))),
    }
    if planned.preprocessed_as is None:
        spacing = st.floats(0.7, 6, allow_nan=False)
        own["spacing"] = [None if axis == flat else draw(spacing) for axis in range(3)]
    training: dict[str, object] = {
        "optimizer": draw(st.sampled_from(("adamw", "sgd"))),
        "learning_rate": draw(st.sampled_from((1e-6, 1e-3, 0.05, 1.0))),
        "deep_supervision": draw(st.booleans()),
        "batch_dice": draw(st.booleans()),
        "lesion_loss": draw(st.sampled_from((0.0, 0.5, 100.0))),
        "elastic": draw(st.sampled_from((0.0, 1.0))),
        "foreground_prior": draw(st.sampled_from((None, 1e-6, 0.5, 0.999))),
        "mirror": draw(st.sampled_from(([], [0], [1, 2], [0, 1, 2]))),
    }
    prediction = {
        "overlap": draw(st.sampled_from((0.0, 0.5, 0.75))),
        "mirror": draw(st.sampled_from(([], [1], [2, 1]))),
    }
    root = ("configurations", name)
    parts = {"network": network, "training": training, "prediction": prediction}
    edits = [Edit((*root, key), value) for key, value in own.items()]
    return edits + [Edit((*root, part, key), value) for part, of in parts.items() for key, value in of.items()]


# what comes of it


def _apply(edits: Sequence[Edit], path: Path) -> None:
    """Change fields of a plan file as a person does in an editor; a field that is not there any more is left."""
    yaml = YAML()
    document = yaml.load(path.read_text(encoding="utf-8"))
    for edit in edits:
        *parents, last = edit.path
        node = document
        try:
            for key in parents:
                node = node[key]
            if edit.kind == "delete":
                del node[last]
            else:
                node[last] = edit.value
        except (KeyError, IndexError, TypeError):
            continue
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(document, file)


def _tried(made: Made, planned: RunFolder, work: Path, name: str, edits: Sequence[Edit]) -> Outcome:
    """Preprocess and train by an edited plan, and look at what comes of it."""
    run = copy_run(planned, work / "RUN")
    _apply(edits, run.plan)
    what = f"{name}: " + "; ".join(map(str, edits))
    try:
        plan: Plan | None = read_plan(run.plan)
    except AutosegError:
        plan = None
    except Exception as error:
        return Outcome(what, "fault", f"{type(error).__name__}: {error}")
    if plan is not None and name in plan.configurations and (why := _too_costly(plan, name)):
        return Outcome(what, "apart", why)
    steps = work / "steps.jsonl"
    steps.unlink(missing_ok=True)
    preprocess = ["plan-and-preprocess", made.data, "-o", run.path, "--config", name]
    ended = carry_out(*preprocess, log=work / "log.txt", seconds=SECONDS)
    if ended.status == 0:
        train = ["train", run.path, "--config", name, "--fold", "0", "--epochs", "1", "--threads", "1"]
        ended = carry_out(*train, log=work / "log.txt", seconds=SECONDS, prepare=partial(record_steps, steps))
    if not ended.is_clean:
        return Outcome(what, "fault", f"status {ended.status}: {ended.said[-1500:]}")
    if ended.status != 0:
        return _refused(ended, edits, name, what, worked=steps.exists())
    if plan is None:
        return Outcome(what, "fault", "carried out, although the plan cannot be read")
    problems = list(_other_meanings(run, plan, name, steps))
    return Outcome(what, "fault" if problems else "right", "; ".join(problems) or "trained")


def _refused(ended: Ended, edits: Sequence[Edit], name: str, what: str, *, worked: bool) -> Outcome:
    """Whether the message names an edited field, and came before the first step."""
    parts = {str(key) for edit in edits for key in edit.path if key not in ("configurations", "training", name)}
    if worked:
        return Outcome(what, "fault", f"refused after work: {ended.said[-600:]}")
    is_named = any(part in ended.said for part in parts) or "configurations" in ended.said
    return Outcome(what, "right" if is_named else "fault", ended.said[-900:])


def _too_costly(plan: Plan, name: str) -> str | None:
    """Why an edited plan is not trained by; None where it takes seconds. What no machine can hold is not too costly."""
    configuration = plan.configuration(name)
    network, patch = configuration.network, configuration.patch_size
    whole = [n * s / (new or s) for n, s, new in zip(SHAPE, SPACING, configuration.spacing, strict=True)]
    voxels = math.prod(max(1.0, n) for n in whole)
    if MOST_VOXELS < voxels < 1e10:
        return f"a case of {voxels:.3g} voxels"
    inputs = len(input_channels(plan, configuration))
    size, multiplications, numbers, weights = math.prod(patch), 0.0, 0.0, 0.0
    before = inputs
    decoders = (*network.decoder_blocks, 0)
    for stage, features in enumerate(network.features):
        size /= math.prod(network.strides[stage])
        kernel = math.prod(network.kernel_sizes[stage])
        blocks = 2 * (network.encoder_blocks[stage] + decoders[stage] + 1)
        of_stage = kernel * features * (before + (blocks + 2) * features)
        multiplications += size * of_stage
        weights += of_stage
        numbers += size * features * 3 * blocks
        before = features
    step = 3 * configuration.batch_size * multiplications
    stride = [max(1.0, p * (1 - configuration.prediction.overlap)) for p in patch]
    windows = math.prod(math.ceil(n / s) + 1 for n, s in zip(whole, stride, strict=True)) * 2
    windows *= 2 ** len(configuration.mirrored_in_prediction)
    work = configuration.training.iterations_per_epoch * step + windows * multiplications
    memory = 4 * configuration.batch_size * numbers + 20 * weights
    steps = configuration.training.iterations_per_epoch
    if work > MOST_MULTIPLICATIONS or memory > MOST_BYTES or windows > 6_000 or steps > 50:
        return f"{work:.2g} multiplications, {memory:.2g} bytes, {windows} windows, {steps} steps"
    return None


def _other_meanings(run: RunFolder, plan: Plan, name: str, steps_file: Path) -> Iterator[str]:
    """What was trained otherwise than the plan says."""
    configuration = plan.configuration(name)
    training = configuration.training
    steps = [json.loads(line) for line in steps_file.read_text(encoding="utf-8").splitlines()]
    expected = [configuration.batch_size, len(input_channels(plan, configuration)), *configuration.patch_size]
    if any(step["shape"] != expected for step in steps):
        yield f"patches are {steps[0]['shape']}, planned are {expected}"
    if len(steps) != training.iterations_per_epoch and not _went_back(run, name):
        yield f"{len(steps)} steps, planned were {training.iterations_per_epoch}"
    first = training.learning_rate * (0.04 if training.optimizer == "adamw" and training.warmup > 0 else 1.0)
    if not math.isclose(steps[0]["rate"], first, rel_tol=1e-6):
        yield f"the first rate is {steps[0]['rate']}, planned is {first}"
    if not all(math.isfinite(step["loss"]) for step in steps) and not _went_back(run, name):
        yield "a loss is not finite"
    with (run.fold(name, 0) / "log.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if not math.isfinite(float(row["loss"])) or not 0 < float(row["learning_rate"]) <= training.learning_rate:
                yield f"log.csv has loss {row['loss']}, learning rate {row['learning_rate']}"
    yield from _other_network(run, plan, name)
    for case in CASES:
        record = read_record(run.case(plan.preprocessed_as(name), case))
        wanted = configuration.target_spacing(SPACING)
        if not np.allclose(record.spacing, wanted, rtol=1e-6):
            yield f"{case} has spacing {record.spacing}, planned is {wanted}"


def _went_back(run: RunFolder, name: str) -> bool:
    finished = json.loads(run.finished(name, 0).read_text(encoding="utf-8"))
    return any(event["kind"] == "restored" for event in finished["events"])


def _other_network(run: RunFolder, plan: Plan, name: str) -> Iterator[str]:
    """What differs between the weights and the network in the plan."""
    from safetensors.numpy import load_file

    configuration = plan.configuration(name)
    network = configuration.network
    weights = load_file(run.weights(name, 0))
    if not all(np.isfinite(w).all() for w in weights.values()):
        yield "weights are not finite"
    plain = network.architecture == "plain"
    for stage, features in enumerate(network.features):
        convolutions = [
            w.shape
            for key, w in weights.items()
            if key.startswith(f"encoder.stages.{stage}.") and "shortcut" not in key and w.ndim == 5
        ]
        count = network.encoder_blocks[stage] * (1 if plain else 2)
        wanted = {(features, *network.kernel_sizes[stage])}
        if len(convolutions) != count or {(s[0], *s[2:]) for s in convolutions} != wanted:
            yield f"stage {stage} has convolutions {convolutions}, planned are {count} of {wanted}"
    ups = [weights[f"decoder.ups.{i}.weight"].shape[2:] for i in range(len(network.decoder_blocks))]
    if ups != list(reversed(network.strides[1:])):
        yield f"the decoder goes up by {ups}, planned are {network.strides}"
