"""Reads the segments of a NRRD file from its header: those of 3D Slicer (`.seg.nrrd`) and of MITK.

3D Slicer describes each segment by keys such as `Segment0_Name`, `Segment0_LabelValue` and `Segment0_Layer`; before
4.11 a segment was a channel, without the last two. MITK describes all by one text in JSON.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from autoseg.errors import ImageError
from autoseg.image.segmentation import Segment, clean_name, require_segments

_SLICER_KEY = re.compile(r"Segment(\d{1,6})_(ID|Name|LabelValue|Layer)")
_REPRESENTATIONS = ("Segmentation_MasterRepresentation", "Segmentation_SourceRepresentation")
_WHOLE = re.compile(r"\s*-?\d{1,9}\s*")
_MITK = "org.mitk.multilabel.segmentation"
_MITK_GROUPS = f"{_MITK}.labelgroups"
_EARLIER_MITK = "org.mitk.image.multilabel"


def segments_of(path: Path, header: sitk.ImageFileReader) -> tuple[Segment, ...] | None:
    """Segments that the header of a NRRD file describes; None where it is a plain label map or image.

    Args:
        path: path of the file, for messages.
        header: its header, from `image_header.read_header`.

    Raises:
        ImageError: it is a segmentation whose segments are not described, or one of fractions.
    """
    keys = set(header.GetMetaDataKeys())
    size = header.GetSize()
    layers = int(size[3]) if len(size) == 4 else int(header.GetNumberOfComponents())
    if _MITK_GROUPS in keys:
        return require_segments(path, _of_mitk(path, header.GetMetaData(_MITK_GROUPS)), layers)
    modality = header.GetMetaData("modality") if "modality" in keys else ""
    if modality in (_MITK, _EARLIER_MITK):
        raise ImageError(
            f"{path}: is a segmentation of an earlier MITK, whose names are not read; save it with MITK 2022.10 or "
            "later, or as NIfTI, where its values count"
        )
    found: defaultdict[int, dict[str, str]] = defaultdict(dict)
    for key in keys:
        if match := _SLICER_KEY.fullmatch(key):
            found[int(match[1])][match[2]] = header.GetMetaData(key)
    kinds = [header.GetMetaData(key) for key in _REPRESENTATIONS if key in keys]
    if not found and not kinds:
        return None
    if any(kind.startswith("Fractional") for kind in kinds):
        raise ImageError(
            f"{path}: is a segmentation of fractions (fractional labelmap), where no voxel is wholly of a class; in 3D "
            "Slicer, make it a binary labelmap (module Segmentations, Representations) and save it again"
        )
    return require_segments(path, _of_slicer(path, [found[i] for i in sorted(found)], layers), layers)


def _of_slicer(path: Path, described: list[dict[str, str]], layers: int) -> list[Segment]:
    names = [clean_name(path, one.get("Name", "")) or clean_name(path, one.get("ID", "")) for one in described]
    if described and not any({"LabelValue", "Layer"} & one.keys() for one in described):
        # before 4.11 each segment was a channel of its own
        if len(described) != layers:
            raise ImageError(
                f"{path}: describes {len(described)} segments without their values, and holds {layers} "
                f"channel{'s'[: layers > 1]}; open it in a current 3D Slicer (4.11 or later), and save it again"
            )
        return [Segment(name, 1, layer) for layer, name in enumerate(names)]
    segments = []
    for name, one in zip(names, described, strict=True):
        value, layer = one.get("LabelValue", ""), one.get("Layer", "0" if layers == 1 else "")
        if not (_WHOLE.fullmatch(value) and _WHOLE.fullmatch(layer)):
            raise ImageError(
                f"{path}: segment {name!r} has the value {value!r:.20} in the layer {layer!r:.20}, which are no whole "
                "numbers; open it in 3D Slicer, and save it again"
            )
        segments.append(Segment(name, int(value), int(layer)))
    return segments


def _of_mitk(path: Path, text: str) -> list[Segment]:
    try:
        groups: Any = json.loads(text)
        described = [
            (one["name"], one["value"], layer) for layer, group in enumerate(groups) for one in group["labels"]
        ]
    except (ValueError, TypeError, KeyError, RecursionError):
        described = None
    sound = described is not None and all(
        isinstance(name, str) and type(value) is int and abs(value) < 10**9 for name, value, _ in described
    )
    if described is None or not sound:
        raise ImageError(f"{path}: its description of labels ({_MITK_GROUPS}) is damaged; save it again with MITK")
    return [Segment(clean_name(path, name), value, layer) for name, value, layer in described]
