"""Writes and reads out-of-fold probabilities: predictions of each case by the model that was not trained on it.

`cross_validation/CONFIG/probabilities/CASE.b2nd` holds the foreground classes, (K - 1, z, y, x) at the configuration's
spacing and crop, in 8 bit, compressed (blosc2); the background follows from them. Where regions are learned, it holds
all of them. `CASE.json` holds the reorientation, crop and resampling of the case. Every choice after training is made
from these files, so that nothing has to be predicted again.
"""

from __future__ import annotations

from pathlib import Path

import blosc2
import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from autoseg.disk.checksums import DAMAGED, SealedModel, digest_of
from autoseg.errors import RunFolderError
from autoseg.files import disk_errors_named, read_utf8, replaced_when_done, write_text
from autoseg.run_folder.array_file import NotAPlainArray, open_array
from autoseg.run_folder.preprocessed_case import CaseRecord
from autoseg.whole_image.case_probabilities import CaseProbabilities, quantized, rest_of

CHUNK = 64


class ProbabilityRecord(SealedModel, CaseRecord):
    """Content of `CASE.json`: the case's record, and the checksum of `CASE.b2nd`.

    Args:
        sha256: SHA-256 of `CASE.b2nd` as hexadecimal digits; None in files of earlier releases.
    """

    sha256: str | None = None


def write_probabilities(
    folder: Path, record: CaseRecord, probabilities: NDArray[np.floating], *, overlapping: bool = False
) -> None:
    """Write the probabilities of a case, each file atomically.

    Args:
        folder: folder for the configuration's probabilities; it is created where needed.
        record: reorientation, crop and resampling of the case, and its name.
        probabilities: probabilities (K, z, y, x) of the record's shape, which sum to 1 over the K classes.
        overlapping: whether they are those of regions, which do not sum to 1.
    """
    foreground = quantized(probabilities, overlapping=overlapping)[0 if overlapping else 1 :]
    path = array_file(folder, record.case)
    with replaced_when_done(path) as temporary, disk_errors_named(path, RuntimeError):
        blosc2.asarray(
            np.ascontiguousarray(foreground),
            chunks=(1, *(min(CHUNK, n) for n in foreground.shape[1:])),
            urlpath=str(temporary),
            mode="w",
            cparams=blosc2.CParams(codec=blosc2.Codec.ZSTD, clevel=5, nthreads=1),
        )
    digest = digest_of(path)
    kept = ProbabilityRecord.model_validate(record.model_dump() | {"sha256": digest})
    write_text(folder / f"{record.case}.json", kept.sealed_json())


def array_file(folder: Path, case: str) -> Path:
    """Path of the file with a case's probabilities in a configuration's folder."""
    return folder / f"{case}.b2nd"


def read_probabilities(folder: Path, case: str, *, overlapping: bool = False) -> CaseProbabilities:
    """Read the probabilities of a case, (K, z, y, x) in 8 bit, with the background where they are not of regions.

    Args:
        folder: folder of the configuration's probabilities.
        case: name of the case.
        overlapping: whether they are those of regions.

    Raises:
        RunFolderError: a file is missing or damaged, or the two files do not fit together.
    """
    file, record_file = array_file(folder, case), folder / f"{case}.json"
    try:
        record = ProbabilityRecord.model_validate_json(read_utf8(record_file))
        array = open_array(file)
        fits = array.ndim == 4 and array.shape[1:] == record.shape and array.dtype == np.uint8
        # nothing is read into memory that the record does not tell of
        foreground = array[:] if fits else None
    except NotAPlainArray as error:
        raise RunFolderError(
            f"{file}: {error}; delete the model of the fold that validates {case}, and `autoseg train` makes it again"
        ) from None
    except (OSError, RuntimeError, ValueError, ValidationError) as error:
        raise RunFolderError(
            f"{file}: missing or damaged ({type(error).__name__}); delete the model of the fold that validates "
            f"{case}, and `autoseg train` makes it again"
        ) from None
    if record.sha256 not in (None, digest_of(file)):
        raise RunFolderError(
            f"{file}: {DAMAGED}; delete the model of the fold that validates {case}, and `autoseg train` makes it again"
        )
    if foreground is None:
        raise RunFolderError(f"{file}: does not fit {record_file.name}; train the fold that validates {case} again")
    plain = CaseRecord.model_validate(record.model_dump(exclude={"sha256"}))
    if overlapping:
        return CaseProbabilities(foreground, plain, overlapping=True)
    return CaseProbabilities(np.concatenate([rest_of(foreground)[None], foreground]), plain)
