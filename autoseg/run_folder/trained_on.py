"""`trained_on.json` of a fold: the content of the cases that it is trained and validated on, to notice a change.

A case counts as changed where its preprocessed files are others, by their checksums. A file of the data set that was
only touched, or is preprocessed anew to the same content, changes nothing.
"""

from __future__ import annotations

from autoseg.disk.checksums import LIST_NAME, SealedModel, digest_of
from autoseg.files import FileModel, read_model, write_text
from autoseg.names import PlainName
from autoseg.plan.plan import Plan
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import Split


class TrainedOn(SealedModel, FileModel):
    """Content of `trained_on.json`.

    Args:
        cases: for each training and validation case, the SHA-256 of its list of checksums; None for cases of earlier
            releases, which have no list.
    """

    schema_version: int = 1
    cases: dict[PlainName, str | None]


def write_trained_on(run: RunFolder, plan: Plan, configuration: str, fold: int, split: Split) -> None:
    """Write `trained_on.json` of a fold that begins, atomically."""
    source = plan.preprocessed_as(configuration)
    cases = {case: _digest(run, source, case) for case in (*split.train, *split.val)}
    write_text(run.trained_on(configuration, fold), TrainedOn(cases=cases).sealed_json())


def cases_changed_since(run: RunFolder, plan: Plan, configuration: str, fold: int) -> tuple[str, ...]:
    """Names of the cases of a fold whose content is another now than when the fold began.

    Args:
        run: RUN folder that holds the fold and the preprocessed cases.
        plan: plan of the run.
        configuration: name of the fold's configuration.
        fold: number of the fold.

    Raises:
        RunFolderError: the file is malformed; the message names the file and the field.
    """
    advice = f"delete {run.fold(configuration, fold)} to train the fold anew"
    then = read_model(run.trained_on(configuration, fold), TrainedOn, advice)
    source = plan.preprocessed_as(configuration)
    known = {} if then is None else {case: digest for case, digest in then.cases.items() if digest is not None}
    return tuple(case for case, digest in known.items() if _digest(run, source, case) not in (None, digest))


def _digest(run: RunFolder, source: str, case: str) -> str | None:
    path = run.case(source, case) / LIST_NAME
    return digest_of(path) if path.exists() else None
