"""`python -m tests.ray_cluster MODE NODES`: a Ray cluster of several nodes on this machine, until standard input ends.

MODE is `token` or `disabled`, as Ray's own RAY_AUTH_MODE; the token comes from the environment. The head is a node too.
Prints the cluster's address. Each node offers one core.
"""

import os
import socket
import sys

PORTS = ("metrics_agent_port", "dashboard_agent_listen_port", "runtime_env_agent_port", "metrics_export_port")
"""Ports of a node's helpers. Ray waits 15 s for helpers that choose their own, too short if a machine is busy."""

SETTINGS = {"health_check_period_ms": 1000, "health_check_failure_threshold": 4, "worker_niceness": 0}
"""A node that is lost is known within seconds instead of a quarter of a minute; units do not yield to other tests."""


def free_ports() -> dict[str, int]:
    sockets = [socket.socket() for _ in PORTS]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return {name: one.getsockname()[1] for name, one in zip(PORTS, sockets, strict=True)}
    finally:
        for one in sockets:
            one.close()


def main() -> None:
    mode, nodes = sys.argv[1], int(sys.argv[2])
    os.environ["RAY_AUTH_MODE"] = mode
    from ray.cluster_utils import Cluster

    few_helpers = {"num_cpus": 1, "include_dashboard": False, "include_log_monitor": False, "no_monitor": True}
    cluster = Cluster(initialize_head=True, head_node_args=few_helpers | free_ports() | {"_system_config": SETTINGS})
    try:
        for _ in range(nodes - 1):
            cluster.add_node(**few_helpers, **free_ports())
        print(cluster.address, flush=True)
        sys.stdin.read()
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main()
