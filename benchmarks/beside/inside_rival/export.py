"""Measures seconds of nnU-Net's own export from logits at the plan's spacing to labels in the image's geometry.

    python export.py PLANS DATASET_JSON LOGITS SETTING ANSWER

LOGITS is a .npy file (class, z, y, x) in float16. SETTING is a JSON object: spacing of the plan and
stored spacing in mm, and stored shape in voxels, all (z, y, x); repeats. ANSWER is the JSON file for the result.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager


def main() -> None:
    plans, dataset, logits, setting, answer = sys.argv[1:]
    wanted = json.loads(Path(setting).read_text())
    planned = json.loads(Path(plans).read_text())
    planned["configurations"]["3d_fullres"]["spacing"] = wanted["plan_spacing"]
    planned["transpose_forward"] = planned["transpose_backward"] = [0, 1, 2]
    scores = torch.from_numpy(np.load(logits))
    declared = json.loads(Path(dataset).read_text())
    declared["labels"] = {str(k) if k else "background": k for k in range(len(scores))}
    manager = PlansManager(planned)
    configuration = manager.get_configuration("3d_fullres")
    shape = tuple(wanted["shape"])
    properties = {
        "spacing": wanted["stored_spacing"],
        "shape_before_cropping": shape,
        "shape_after_cropping_and_before_resampling": shape,
        "bbox_used_for_cropping": [[0, n] for n in shape],
    }
    labels = manager.get_label_manager(declared)
    seconds = []
    for _ in range(wanted["repeats"]):
        start = time.perf_counter()
        convert_predicted_logits_to_segmentation_with_correct_shape(
            scores, manager, configuration, labels, properties, num_threads_torch=torch.get_num_threads()
        )
        seconds.append(time.perf_counter() - start)
    Path(answer).write_text(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
