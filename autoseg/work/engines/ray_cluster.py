"""The Ray cluster that the units run on: one on this machine, which ends with the run, or one that is there.

Whoever reaches a Ray cluster that demands no token runs any program on it. A cluster that is started here demands a
token that nobody else has. One that is given is asked first, without a token: if it answers, it is open and refused.

Ray takes how it authenticates from environment variables alone. They are set while a run uses Ray, for Ray and the
processes that it starts.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from typing import Any, Literal

from autoseg.errors import InputError
from autoseg.machine.cores import available_cores

MODE, TOKEN, TOKEN_FILE = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
"""Ray's environment variables for authentication."""

DOCUMENT = "docs/cluster.md"

SECONDS_OF_ASKING = 120.0
"""A cluster that has not answered after this time counts as out of reach; Ray itself gives up far earlier."""

ANSWERS, REFUSES = 10, 11
"""Exit statuses of the process that asks a cluster."""

_ASK = f"""
import sys
from ray._private.authentication.authentication_token_setup import ensure_token_if_auth_enabled
from ray._private.services import canonicalize_bootstrap_address_or_die
from ray._raylet import GcsClient
from ray.exceptions import AuthenticationError
try:
    ensure_token_if_auth_enabled(create_token_if_missing=False)
    GcsClient(address=canonicalize_bootstrap_address_or_die(sys.argv[1]))
except AuthenticationError:
    sys.exit({REFUSES})
sys.exit({ANSWERS})
"""
"""As Ray's own `ray health-check`: asks for the cluster's number, which takes a token where the cluster demands one.

Connecting with a wrong token would be tried for a minute, with a warning a second.
"""


@contextmanager
def cluster(address: str | None, *, insecure: bool = False) -> Iterator[None]:
    """Connect this process to a Ray cluster while the block runs.

    Args:
        address: address of a cluster that is there, such as `10.0.0.1:6379`, or `auto` for the one that this machine
            belongs to; None = start one on this machine, which demands a token, and end it with the block.
        insecure: whether a cluster may be used that demands no token.

    Raises:
        InputError: Ray is missing or in use in this process; the cluster is open, out of reach, or takes another token.
    """
    require_ray()
    if address is None:
        with _environment({MODE: "token", TOKEN: _own_token()}), _connected_here():
            yield
        return
    _check_address(address)
    if not insecure:
        _refuse_open(address)
    # a token that the person has set, or keeps where Ray looks for it, is used as it is
    with _environment({} if insecure else {MODE: "token"}):
        _require_answer(address)
        with _connected_to(address):
            yield


def require_ray() -> None:
    """Make sure that Ray is installed, without importing it: it reads its environment when it is imported.

    Raises:
        InputError: it is not installed.
    """
    if find_spec("ray") is None:
        raise InputError(
            "--engine ray: Ray is not installed; install it with pip install 'autoseg-framework[ray]', on every machine"
        )


def answer(address: str, environment: Mapping[str, str]) -> Literal["answers", "refuses", "none"]:
    """Ask a cluster, by a process of its own, whether it answers who comes with an environment.

    Args:
        address: address of the cluster.
        environment: environment variables, Ray's for authentication among them.

    Returns:
        `refuses` where it wants a token, or another one; `none` where nothing of Ray answers.
    """
    try:
        asked = subprocess.run(
            [sys.executable, "-c", _ASK, address],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS_OF_ASKING,
        )
    except subprocess.TimeoutExpired:
        return "none"
    if asked.returncode == ANSWERS:
        return "answers"
    return "refuses" if asked.returncode == REFUSES else "none"


def _check_address(address: str) -> None:
    if "://" in address:
        raise InputError(
            f"--engine ray={address}: this is no address of a cluster's head, such as 10.0.0.1:6379; start autoseg on "
            f"a machine of the cluster, where --engine ray=auto finds it ({DOCUMENT})"
        )


def _refuse_open(address: str) -> None:
    """Refuse a cluster that answers without a token."""
    without = {name: value for name, value in os.environ.items() if name not in (TOKEN, TOKEN_FILE)}
    found = answer(address, without | {MODE: "disabled"})
    if found == "answers":
        raise InputError(
            f"--engine ray={address}: this cluster demands no token, so that whoever reaches it can run any program on "
            f"its machines. Start it with {MODE}=token on every machine ({DOCUMENT}), or add --insecure if nobody else "
            "reaches its network"
        )
    if found == "none":
        raise InputError(_nobody(address))


def _require_answer(address: str) -> None:
    """Refuse a cluster that does not answer with the environment that this process has."""
    found = answer(address, os.environ)
    if found == "refuses":
        raise InputError(
            f"--engine ray={address}: the cluster does not take this token, or there is none; put the cluster's token "
            f"into ~/.ray/auth_token, or name its file in {TOKEN_FILE}"
        )
    if found == "none":
        raise InputError(_nobody(address))


def _nobody(address: str) -> str:
    return (
        f"--engine ray={address}: no Ray cluster answers there, or one of another Ray; on a machine of the cluster "
        "`ray status` tells its address"
    )


@contextmanager
def _connected_here() -> Iterator[None]:
    """Start a cluster of this machine alone."""
    ray = _ray_with_token(True)
    try:
        ray.init(
            address="local",
            num_cpus=available_cores(),
            include_dashboard=False,
            log_to_driver=False,
            logging_level="error",
        )
    except Exception as error:
        # Ray has no class of its own for a node that does not start in time
        raise InputError(
            f"--engine ray: Ray could not be started on this machine ({_on_one_line(error)}); try again when it is "
            "less busy, or use --engine local"
        ) from None
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _connected_to(address: str) -> Iterator[None]:
    """Connect to a cluster that answers."""
    ray = _ray_with_token(os.environ.get(MODE, "").lower() == "token")
    try:
        ray.init(address=address, log_to_driver=False, logging_level="error")
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(f"--engine ray={address}: {_on_one_line(error)}") from None
    try:
        yield
    finally:
        ray.shutdown()


def _on_one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _ray_with_token(token: bool) -> Any:
    """Import Ray, and make sure that it authenticates as wanted; a process that has used it before may not."""
    import ray
    from ray._private.authentication.authentication_utils import is_token_auth_enabled

    if ray.is_initialized() or is_token_auth_enabled() != token:
        raise InputError("--engine ray: this process has used Ray before; give the command in a process of its own")
    return ray


@cache
def _own_token() -> str:
    """The token of clusters that this process starts: Ray reads it once, so that it stays the same."""
    return secrets.token_hex(32)


@contextmanager
def _environment(set_to: Mapping[str, str]) -> Iterator[None]:
    """Context manager in which environment variables are set, for Ray in this process and what it starts."""
    before = {name: os.environ.get(name) for name in set_to}
    os.environ.update(set_to)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
