"""Errors of a file system that pass: an operation that meets one is tried again for some seconds."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import ParamSpec, TypeVar

PASSING = frozenset({errno.ESTALE, errno.EBUSY, errno.EAGAIN, errno.EINTR})
"""A server of files was restarted or moved a file, or something else uses the file just now."""

SECONDS_OF_TRYING = 5.0

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def patiently(operation: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
    """Call an operation on files, again where its error is one that passes, for at most `SECONDS_OF_TRYING`.

    Args:
        operation: function that changes nothing where it fails.
        args: arguments of the operation.
        kwargs: arguments of the operation by name.

    Raises:
        OSError: the operation failed for another reason, or the error did not pass.
    """
    try:
        return operation(*args, **kwargs)
    except OSError as error:
        if not _passes(error):
            raise
    # imported here, since it is rarely needed and takes a tenth of a second
    from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_exponential

    trying = Retrying(
        retry=retry_if_exception(_passes),
        stop=stop_after_delay(SECONDS_OF_TRYING),
        wait=wait_exponential(multiplier=0.02, max=0.5),
        reraise=True,
    )
    return trying(operation, *args, **kwargs)


def _passes(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in PASSING
