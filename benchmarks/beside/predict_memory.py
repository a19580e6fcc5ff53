"""Row: peak memory and time of predicting an image of 512×512×300 voxels with 25 classes, from file to file.

The plan is twice as coarse in plane. Both predict with one fold of a very small network, so that its own memory and
time hardly count; autoseg does it by `benchmarks/memory_predict.py`. Neither mirrors, which takes no memory. A program
that takes more than MOST_BYTES is killed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from autoseg.image.image import write_image
from benchmarks.beside.bench import Bench
from benchmarks.beside.figures import Figure
from benchmarks.memory_predict import CLASSES, SHAPE, large_image, plan_and_fingerprint
from benchmarks.process import Measured, OutOfMemory, measure

GIB = 2**30
MOST_BYTES = 20 * GIB
OUT_OF_MEMORY = f"> {MOST_BYTES / GIB:.0f} GiB"
NUMBER = 900
NAME = f"Dataset{NUMBER}_large"


def figures(bench: Bench) -> list[Figure]:
    """Peak memory of the process tree in GiB, and seconds."""
    ours = measure([sys.executable, "-m", "benchmarks.memory_predict"], bench.folder / "logs" / "predict_memory.txt")
    theirs = rivals(bench)
    what = f"predict {'×'.join(map(str, reversed(SHAPE)))} voxels, {CLASSES} classes"
    return [
        Figure(
            what=f"{what}, peak GiB",
            dataset="noise",
            ours=(ours.peak_bytes / GIB,),
            theirs=(theirs.peak_bytes / GIB,) if theirs else (),
            better="less",
            goal="3×",
            instead="" if theirs else OUT_OF_MEMORY,
        ),
        Figure(
            what=f"{what}, s",
            dataset="noise",
            ours=(ours.seconds,),
            theirs=(theirs.seconds,) if theirs else (),
            better="less",
            goal="",
            note="autoseg's includes drawing the image",
        ),
    ]


def rivals(bench: Bench) -> Measured | None:
    """Time and memory of nnU-Net; None where it took more memory than `MOST_BYTES`."""
    image = bench.folder / "large" / "images" / "large_0000.nii.gz"
    if not image.exists():
        image.parent.mkdir(parents=True, exist_ok=True)
        write_image(image, large_image())
    declare(bench)
    output = bench.folder / "large" / "predicted"
    command: list[str | Path] = ["-d", str(NUMBER), "-i", image.parent, "-o", output, "-c", "3d_fullres", "-f", "0"]
    options = ["-device", "cpu", "--disable_tta"]
    try:
        return bench.rival.call("nnUNetv2_predict", [*command, *options], "predict_memory", most_bytes=MOST_BYTES)
    except OutOfMemory:
        return None


def declare(bench: Bench) -> None:
    """Give nnU-Net a plan like autoseg's and a model with initial weights, where they do not exist yet."""
    results = bench.rival.folder / "results" / NAME
    if results.exists():
        return
    template = json.loads((bench.preprocessed_by_rival("hippocampus40") / "nnUNetPlans.json").read_text())
    declared = json.loads((bench.preprocessed_by_rival("hippocampus40") / "dataset.json").read_text())
    folder = bench.rival.folder / "preprocessed" / NAME
    # nnU-Net reads from the ending of this file in which format cases are stored
    stored = folder / "nnUNetPlans_3d_fullres" / "none.b2nd"
    stored.parent.mkdir(parents=True, exist_ok=True)
    stored.touch()
    plans, dataset = folder / "nnUNetPlans.json", folder / "dataset.json"
    plans.write_text(json.dumps(like_ours(template)), encoding="utf-8")
    declared["labels"] = {f"class {k}" if k else "background": k for k in range(CLASSES)}
    dataset.write_text(json.dumps(declared | {"channel_names": {"0": "CT"}}), encoding="utf-8")
    bench.rival.ask("untrained", [plans, dataset])


def like_ours(template: dict[str, object]) -> dict[str, object]:
    """The nnU-Net plan `template` with spacing, patch and network of autoseg's plan for the large image."""
    ours = plan_and_fingerprint()[0].configuration("3d")
    network = ours.network
    planned = json.loads(json.dumps(template))
    planned["dataset_name"] = NAME
    planned["transpose_forward"] = planned["transpose_backward"] = [0, 1, 2]
    planned["configurations"] = {"3d_fullres": planned["configurations"]["3d_fullres"]}
    configuration = planned["configurations"]["3d_fullres"]
    configuration |= {
        "spacing": ours.spacing,
        "patch_size": ours.patch_size,
        "normalization_schemes": ["CTNormalization"],
        "use_mask_for_norm": [False],
    }
    configuration["architecture"]["arch_kwargs"] |= {
        "n_stages": len(network.features),
        "features_per_stage": network.features,
        "strides": network.strides,
        "kernel_sizes": network.kernel_sizes,
        "n_conv_per_stage": network.encoder_blocks,
        "n_conv_per_stage_decoder": network.decoder_blocks,
    }
    return planned
