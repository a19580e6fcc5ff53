"""The example for Kubernetes: fields that KubeRay documents for a RayJob, and what autoseg needs of them.

The fields are those of the reference of KubeRay's custom resources (ray.io/v1), of pods those of Kubernetes' own.
"""

import shlex
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from autoseg.commands.cli import make_app
from autoseg.work.engine import asked_of

ROOT = Path(__file__).parents[1]
FIELDS = {
    "RayJob": {"apiVersion", "kind", "metadata", "spec"},
    "RayJobSpec": {
        *("activeDeadlineSeconds", "backoffLimit", "rayClusterSpec", "submitterPodTemplate", "metadata"),
        *("clusterSelector", "submitterConfig", "managedBy", "deletionStrategy", "entrypoint", "runtimeEnvYAML"),
        *("jobId", "submissionMode", "entrypointResources", "entrypointNumCpus", "entrypointNumGpus"),
        *("ttlSecondsAfterFinished", "shutdownAfterJobFinishes", "suspend"),
    },
    "RayClusterSpec": {
        *("suspend", "managedBy", "autoscalerOptions", "authOptions", "headServiceAnnotations"),
        *("enableInTreeAutoscaling", "gcsFaultToleranceOptions", "headGroupSpec", "rayVersion", "workerGroupSpecs"),
    },
    "AuthOptions": {"mode"},
    "HeadGroupSpec": {"template", "headService", "enableIngress", "rayStartParams", "serviceType"},
    "WorkerGroupSpec": {
        *("suspend", "groupName", "replicas", "minReplicas", "maxReplicas", "idleTimeoutSeconds"),
        *("rayStartParams", "template", "scaleStrategy", "numOfHosts"),
    },
    "PodSpec": {"containers", "volumes", "terminationGracePeriodSeconds", "nodeSelector", "tolerations"},
    "Container": {"name", "image", "resources", "ports", "volumeMounts", "env"},
}


@pytest.fixture(scope="module")
def job() -> dict:
    return YAML(typ="safe").load(ROOT / "examples" / "kuberay.yaml")


@pytest.fixture(scope="module")
def groups(job) -> list[dict]:
    cluster = job["spec"]["rayClusterSpec"]
    return [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]


def check(found: dict, kind: str) -> None:
    assert found.keys() <= FIELDS[kind], f"{kind}: {sorted(found.keys() - FIELDS[kind])}"


def test_every_field_is_one_that_kuberay_documents(job, groups) -> None:
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    for found, kind in ((job, "RayJob"), (job["spec"], "RayJobSpec"), (cluster, "RayClusterSpec")):
        check(found, kind)
    check(cluster["authOptions"], "AuthOptions")
    check(groups[0], "HeadGroupSpec")
    for group in groups[1:]:
        check(group, "WorkerGroupSpec")
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    for group in groups:
        pod = group["template"]["spec"]
        check(pod, "PodSpec")
        for container in pod["containers"]:
            check(container, "Container")
        # Ray takes the parameters of `ray start` as text alone
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())


def test_the_cluster_demands_a_token_and_every_pod_sees_the_data_in_the_same_environment(job, groups) -> None:
    assert job["spec"]["rayClusterSpec"]["authOptions"] == {"mode": "token"}
    pods = [group["template"]["spec"] for group in groups]
    assert len({container["image"] for pod in pods for container in pod["containers"]}) == 1
    for pod in pods:
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        mounted = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
        assert mounted["data"] == "/data" and volumes["data"]["persistentVolumeClaim"]["claimName"] == "data"
        assert mounted.keys() <= volumes.keys()


def test_its_command_is_one_that_autoseg_has(job) -> None:
    program, *words = shlex.split(job["spec"]["entrypoint"])
    assert program == "autoseg"
    command, bound = make_app(words).parse_args(words, exit_on_error=False, print_error=False)[:2]
    assert "run" in command.__name__ and bound.arguments["dataset"] is not None
    asked = asked_of(bound.arguments["engine"], retries=bound.arguments["retries"])
    assert (asked.engine, asked.address, asked.retries) == ("ray", "auto", 3)
