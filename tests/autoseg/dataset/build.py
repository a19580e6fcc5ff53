"""Tiny data sets for tests, written with SimpleITK itself (x, y, z order) rather than with autoseg."""

import csv
import json
from pathlib import Path

import numpy as np
import SimpleITK as sitk

SHAPE = (4, 5, 6)  # z, y, x


def voxels(seed: int = 0, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).normal(100, 20, shape).astype(np.float32)


def label_voxels(value: int = 1) -> np.ndarray:
    array = np.zeros(SHAPE, np.uint8 if value < 256 else np.int16)
    array[1:3, 1:3, 2:4] = value
    return array


def write(
    path: Path,
    array: np.ndarray,
    *,
    spacing: tuple[float, ...] = (1.0, 1.5, 3.0),
    origin: tuple[float, ...] = (10.0, -20.0, 30.0),
    direction: np.ndarray | None = None,
) -> Path:
    """Write (z, y, x) or (channel, z, y, x) as 3D or 4D; spacing and origin are (x, y, z), direction has columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(array, isVector=False)
    extra = array.ndim - 3
    image.SetSpacing((*spacing, *(1.0,) * extra))
    image.SetOrigin((*origin, *(0.0,) * extra))
    if direction is not None:
        whole = np.eye(array.ndim)
        whole[:3, :3] = direction
        image.SetDirection(whole.ravel().tolist())
    sitk.WriteImage(image, str(path))
    return path


def write_json(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return path


def nnunet(folder: Path, cases: int = 5, channels: tuple[str, ...] = ("T1",), **changes: object) -> Path:
    """A sound data set in nnU-Net's layout: CASE_0000.nii.gz …, label value 1 = lesion."""
    for i in range(cases):
        for c in range(len(channels)):
            write(folder / "imagesTr" / f"case_{i}_{c:04d}.nii.gz", voxels(10 * i + c))
        write(folder / "labelsTr" / f"case_{i}.nii.gz", label_voxels())
    declaration = {
        "channel_names": {str(i): name for i, name in enumerate(channels)},
        "labels": {"background": 0, "lesion": 1},
        "numTraining": cases,
        "file_ending": ".nii.gz",
    }
    write_json(folder / "dataset.json", {**declaration, **changes})
    return folder


def decathlon(folder: Path, cases: int = 5, channels: tuple[str, ...] = ("MRI",), **changes: object) -> Path:
    """A sound data set in the Decathlon's layout; 4D files where there are several channels."""
    shape = (len(channels), *SHAPE) if len(channels) > 1 else SHAPE
    for i in range(cases):
        write(folder / "imagesTr" / f"case_{i}.nii.gz", voxels(i, shape))
        write(folder / "labelsTr" / f"case_{i}.nii.gz", label_voxels())
    declaration = {
        "name": "tiny",
        "modality": {str(i): name for i, name in enumerate(channels)},
        "labels": {"0": "background", "1": "lesion"},
        "numTraining": cases,
        "training": [
            {"image": f"./imagesTr/case_{i}.nii.gz", "label": f"./labelsTr/case_{i}.nii.gz"} for i in range(cases)
        ],
    }
    write_json(folder / "dataset.json", {**declaration, **changes})
    return folder


def table(folder: Path, cases: int = 5, channels: tuple[str, ...] = ("T1", "STIR")) -> list[dict[str, str]]:
    """Files and rows of a sound table; `write_table` writes the rows, after a test has changed them."""
    rows = []
    for i in range(cases):
        row = {"case": f"case_{i}", "patient": f"patient_{i}", "lesion_type": "lytic" if i % 2 else "sclerotic"}
        for c, name in enumerate(channels):
            row[name] = f"{name}/case_{i}.nii.gz"
            write(folder / row[name], voxels(10 * i + c))
        row["label"] = f"labels/case_{i}.nii.gz"
        write(folder / row["label"], label_voxels())
        rows.append(row)
    return rows


def write_table(folder: Path, rows: list[dict[str, str]], delimiter: str = ",") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "cases.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return folder / "cases.csv"


def dicom(
    folder: Path, array: np.ndarray, spacing: tuple[float, float, float] = (0.5, 0.5, 4.0), shift: float = 0.0
) -> Path:
    """A series of uncompressed DICOM slices of (z, y, x) int16; spacing is (x, y, z), `shift` mm in y a slice."""
    folder.mkdir(parents=True, exist_ok=True)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for z, voxels_of_slice in enumerate(array.astype(np.int16)):
        image = sitk.GetImageFromArray(voxels_of_slice[None])
        image.SetSpacing(spacing)
        tags = {
            "0008|0016": "1.2.840.10008.5.1.4.1.1.4",
            "0008|0018": f"1.2.826.0.1.3680043.2.1125.1.{z + 1}",
            "0008|0060": "MR",
            "0020|000d": "1.2.826.0.1.3680043.2.1125.2",
            "0020|000e": "1.2.826.0.1.3680043.2.1125.3",
            "0020|0013": str(z),
            "0020|0032": f"0\\{z * shift}\\{z * spacing[2]}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0018|0050": str(spacing[2]),
        }
        for tag, value in tags.items():
            image.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"slice_{z:03d}.dcm"))
        writer.Execute(image)
    return folder
