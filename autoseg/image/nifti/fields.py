"""The fields of a NIfTI header that say where its voxels lie, so that a prediction can carry those of its image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from autoseg.files import FileModel

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header

_Number = Annotated[float, Field(ge=-3e38, le=3e38)]
_Row = tuple[_Number, _Number, _Number, _Number]
_Code = Annotated[int, Field(ge=-(2**15), lt=2**15)]


class NiftiFields(FileModel):
    """Both transforms of a NIfTI header as they are stored, in the file's own unit.

    Args:
        version: 1 or 2, the version of NIfTI.
        xyzt_units: unit of places (bits 0 to 2) and of time.
        qform_code: what the qform leads to; 0 = there is none.
        sform_code: what the sform leads to; 0 = there is none.
        pixdim: sign of the qform's third axis, and spacing along (x, y, z).
        quaternion: parameters b, c and d of the qform's rotation.
        qoffset: place (x, y, z) of the first voxel by the qform.
        sform: first three rows of the sform's matrix.
    """

    version: Literal[1, 2]
    xyzt_units: int = Field(ge=0, le=255)
    qform_code: _Code
    sform_code: _Code
    pixdim: _Row
    quaternion: tuple[_Number, _Number, _Number]
    qoffset: tuple[_Number, _Number, _Number]
    sform: tuple[_Row, _Row, _Row]

    @classmethod
    def of(cls, header: Nifti1Header, version: Literal[1, 2]) -> NiftiFields:
        """Take the fields from a header; numbers that are not finite become 0.

        Args:
            header: header as nibabel read it, of either version.
            version: 1 or 2, for NIfTI-1 or NIfTI-2.
        """
        quaternion = [header[f"quatern_{letter}"] for letter in "bcd"]
        qoffset = [header[f"qoffset_{axis}"] for axis in "xyz"]
        rows = [header[f"srow_{axis}"] for axis in "xyz"]
        return cls.model_validate(
            {
                "version": version,
                "xyzt_units": int(header["xyzt_units"]) & 255,
                "qform_code": _code(header["qform_code"], [*header["pixdim"][:4], *quaternion, *qoffset]),
                "sform_code": _code(header["sform_code"], np.concatenate(rows)),
                "pixdim": _finite(header["pixdim"][:4]),
                "quaternion": _finite(quaternion),
                "qoffset": _finite(qoffset),
                "sform": [_finite(row) for row in rows],
            }
        )

    def put_into(self, header: Nifti1Header) -> None:
        """Set the fields of a header.

        Args:
            header: header of nibabel, of NIfTI-1 or NIfTI-2.
        """
        header["xyzt_units"] = self.xyzt_units
        header["qform_code"], header["sform_code"] = self.qform_code, self.sform_code
        header["pixdim"][:4] = self.pixdim
        for name, value in zip("bcd", self.quaternion, strict=True):
            header[f"quatern_{name}"] = value
        for axis, place, row in zip("xyz", self.qoffset, self.sform, strict=True):
            header[f"qoffset_{axis}"], header[f"srow_{axis}"] = place, row


def _finite(numbers: object) -> list[float]:
    found = np.asarray(numbers, dtype=float)
    return np.where(np.abs(found) <= 3e38, found, 0.0).tolist()


def _code(stored: object, numbers: ArrayLike) -> int:
    """The code of a transform; 0 where a number of it is not finite, so that no program takes what stands for it."""
    # codes of NIfTI-2 have 32 bits
    code = int(np.clip(stored, -(2**15), 2**15 - 1))  # type: ignore[call-overload]
    return code if np.isfinite(np.asarray(numbers, float)).all() else 0
