"""Prints panoptica's panoptic quality of each pair of masks in an .npz file, as JSON: `python … FILE OUTPUT`."""

import json
import sys
from pathlib import Path

import numpy as np
from panoptica import (
    ConnectedComponentsInstanceApproximator,
    InputType,
    NaiveThresholdMatching,
    Panoptica_Evaluator,
)
from panoptica.utils.constants import CCABackend

with np.load(sys.argv[1]) as arrays:
    evaluator = Panoptica_Evaluator(
        expected_input=InputType.SEMANTIC,
        instance_approximator=ConnectedComponentsInstanceApproximator(cca_backend=CCABackend.cc3d),
        instance_matcher=NaiveThresholdMatching(strict_threshold=True),
    )
    found = []
    for name in arrays["names"]:
        prediction, reference = (arrays[f"{name}_{what}"].astype(np.uint8) for what in ("prediction", "reference"))
        result = evaluator.evaluate(prediction, reference)["ungrouped"]
        found.append({key: float(getattr(result, key)) for key in ("tp", "fp", "fn", "rq", "sq", "pq")})
Path(sys.argv[2]).write_text(json.dumps(found))
