"""Which clusters are refused, and why. How Ray itself answers is in tests/end_to_end/test_ray.py."""

import os
import sys
from types import ModuleType, SimpleNamespace

import pytest

from autoseg.errors import InputError
from autoseg.work.engines import ray_cluster
from autoseg.work.engines.ray_cluster import answer, cluster


@pytest.fixture
def ray(monkeypatch) -> SimpleNamespace:
    """A stand-in for Ray, which notes how it was connected, and with which of its environment variables."""
    seen = SimpleNamespace(connected=[], token=None)

    def init(**options: object) -> None:
        variables = {name: value for name, value in os.environ.items() if name.startswith("RAY_AUTH")}
        seen.connected.append((options, variables))

    module = ModuleType("ray")
    module.init, module.shutdown, module.is_initialized = init, lambda: None, lambda: False
    setup = ModuleType("ray._private.authentication.authentication_utils")
    setup.is_token_auth_enabled = lambda: os.environ.get("RAY_AUTH_MODE") == "token"
    monkeypatch.setattr(ray_cluster, "find_spec", lambda name: object())
    for name in ("ray._private", "ray._private.authentication"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "ray", module)
    monkeypatch.setitem(sys.modules, setup.__name__, setup)
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        monkeypatch.delenv(name)
    return seen


def answers(monkeypatch, *, open_: bool, takes: bool = True, there: bool = True) -> None:
    """Let a cluster answer: whether it demands no token, and whether it takes the one of this process."""

    def asked(address: str, environment: dict[str, str]) -> str:
        if not there:
            return "none"
        if environment.get("RAY_AUTH_MODE", "disabled") == "disabled":
            return "answers" if open_ else "refuses"
        return "answers" if takes else "refuses"

    monkeypatch.setattr(ray_cluster, "answer", asked)


def test_without_ray_the_extra_is_named(monkeypatch) -> None:
    monkeypatch.setattr(ray_cluster, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'autoseg-framework\[ray\]'"), cluster(None):
        pass


def test_a_cluster_that_is_started_demands_a_token(ray) -> None:
    with cluster(None):
        pass
    with cluster(None):
        pass
    (options, variables), (_, again) = ray.connected
    assert options["address"] == "local"
    assert variables["RAY_AUTH_MODE"] == "token" and len(variables["RAY_AUTH_TOKEN"]) == 64
    # Ray reads the token once in a process
    assert again == variables
    assert not any(name.startswith("RAY_AUTH") for name in os.environ)


def test_an_open_cluster_is_refused_unless_insecure(ray, monkeypatch) -> None:
    answers(monkeypatch, open_=True)
    with pytest.raises(InputError, match="demands no token") as refused, cluster("10.0.0.1:6379"):
        pass
    assert "--insecure" in str(refused.value) and ray.connected == []
    with cluster("10.0.0.1:6379", insecure=True):
        pass
    assert ray.connected[0][0]["address"] == "10.0.0.1:6379" and ray.connected[0][1] == {}


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({"open_": False, "takes": False}, "does not take this token"),
        ({"open_": False, "there": False}, "no Ray cluster"),
    ],
)
def test_a_cluster_that_does_not_let_us_in_is_told(ray, monkeypatch, found, told) -> None:
    answers(monkeypatch, **found)
    with pytest.raises(InputError, match=told), cluster("10.0.0.1:6379"):
        pass
    assert ray.connected == []


def test_a_cluster_with_a_token_is_connected_to_with_ray_s_own_token(ray, monkeypatch) -> None:
    answers(monkeypatch, open_=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "/home/me/token")
    with cluster("auto"):
        pass
    assert ray.connected[0][1] == {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": "/home/me/token"}
    assert "RAY_AUTH_MODE" not in os.environ


def test_the_address_of_a_ray_client_is_refused(ray) -> None:
    with pytest.raises(InputError, match="--engine ray=auto"), cluster("ray://10.0.0.1:10001"):
        pass


def test_a_process_that_used_ray_otherwise_is_refused(ray, monkeypatch) -> None:
    monkeypatch.setattr(sys.modules["ray"], "is_initialized", lambda: True)
    with pytest.raises(InputError, match="in a process of its own"), cluster(None):
        pass


@pytest.mark.parametrize(
    ("program", "told"), [("import sys; sys.exit(10)", "answers"), ("exit(11)", "refuses"), ("1/0", "none")]
)
def test_what_the_process_that_asks_says(monkeypatch, program, told) -> None:
    monkeypatch.setattr(ray_cluster, "_ASK", program)
    assert answer("10.0.0.1:6379", os.environ) == told
