"""What kubectl renders of k8s/, read as containers that can be started."""

from __future__ import annotations

import base64
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field

from tests.deploy.containers import ROOT, image_entrypoint, image_environment

OPS = ROOT / ".venv-ops" / "bin"
K8S = ROOT / "k8s"
OVERLAYS = tuple(sorted(path.name for path in (K8S / "overlays").iterdir()))
JOBS = tuple(sorted(path.name for path in (K8S / "jobs").iterdir()))
RENDERED = tuple(f"overlays/{name}" for name in OVERLAYS) + tuple(f"jobs/{name}" for name in JOBS)
WORKLOADS = ("Deployment", "StatefulSet", "Job")
_VARIABLE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")

Resource = dict[str, object]


def tool(name: str) -> Path:
    """A program of the operators' own environment; without it a test fails."""
    path = OPS / name
    assert path.exists(), f"{name} is missing: `make test-ops` installs it into .venv-ops"
    return path


@cache
def text(folder: str) -> str:
    """A folder of k8s/, rendered."""
    command = [str(tool("kubectl")), "kustomize", str(K8S / folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603
    assert done.returncode == 0, done.stderr
    return done.stdout


class _Read(BaseModel):
    model_config = ConfigDict(extra="ignore", populate_by_name=True)


class Ref(_Read):
    """A reference to a key of a Secret or ConfigMap, or to a whole one."""

    name: str
    key: str = ""
    optional: bool = False


class FieldRef(_Read):
    """A reference to a field of the pod."""

    field: str = Field(alias="fieldPath")


class Source(_Read):
    """Where a variable's value comes from."""

    secret: Ref | None = Field(None, alias="secretKeyRef")
    pod: FieldRef | None = Field(None, alias="fieldRef")


class Variable(_Read):
    """One variable of a container."""

    name: str
    value: str = ""
    source: Source | None = Field(None, alias="valueFrom")


class Variables(_Read):
    """All variables of a ConfigMap or a Secret."""

    settings: Ref | None = Field(None, alias="configMapRef")
    secret: Ref | None = Field(None, alias="secretRef")


class Get(_Read):
    """A request of the kubelet."""

    path: str
    port: str


class Command(_Read):
    """A command that the kubelet runs in the container."""

    command: list[str]


class Probe(_Read):
    """How the kubelet learns whether a container is well."""

    get: Get | None = Field(None, alias="httpGet")
    run: Command | None = Field(None, alias="exec")


class Mount(_Read):
    """A volume in a container."""

    name: str
    path: str = Field(alias="mountPath")


class Container(_Read):
    """A container as the manifest describes it."""

    name: str
    image: str
    command: list[str] = []
    args: list[str] = []
    env: list[Variable] = []
    from_all: list[Variables] = Field([], alias="envFrom")
    startup: Probe | None = Field(None, alias="startupProbe")
    readiness: Probe | None = Field(None, alias="readinessProbe")
    liveness: Probe | None = Field(None, alias="livenessProbe")
    mounts: list[Mount] = Field([], alias="volumeMounts")

    def started(self, environment: Mapping[str, str]) -> list[str]:
        """What is run, the variables of the environment filled in as the kubelet does."""
        command = [*(self.command or image_entrypoint()), *self.args]
        return [_VARIABLE.sub(lambda found: environment[found[1]], word) for word in command]


class PodSpec(_Read):
    """The pod of a workload."""

    containers: list[Container]
    init: list[Container] = Field([], alias="initContainers")
    grace_s: int = Field(30, alias="terminationGracePeriodSeconds")


class Template(_Read):
    """The pod of a workload, with its labels."""

    metadata: dict[str, dict[str, str]] = {}
    spec: PodSpec


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment, StatefulSet or Job."""

    kind: str
    name: str
    pod: PodSpec
    labels: Mapping[str, str]
    raw: Resource


def resources(folder: str) -> list[Resource]:
    """Everything that a folder of k8s/ renders to."""
    found: list[Resource] = list(yaml.safe_load_all(text(folder)))
    return found


def of_kind(folder: str, *kinds: str) -> list[Resource]:
    """The resources of these kinds."""
    return [one for one in resources(folder) if one["kind"] in kinds]


def at(resource: object, path: str) -> object:
    """What lies at ``a.b.c`` of a resource; None where it does not go so deep."""
    for key in path.split("."):
        if not isinstance(resource, dict):
            return None
        resource = resource.get(key)
    return resource


def workloads(folder: str) -> Iterator[Workload]:
    """Whatever starts pods."""
    for one in of_kind(folder, *WORKLOADS):
        template = Template.model_validate(at(one, "spec.template"))
        labels = template.metadata.get("labels", {})
        yield Workload(str(one["kind"]), str(at(one, "metadata.name")), template.spec, labels, one)


def settings_of(folder: str) -> dict[str, dict[str, str]]:
    """The variables of every ConfigMap, by its name."""
    return {
        str(at(one, "metadata.name")): {
            str(key): str(value) for key, value in data.items() if isinstance(value, str)
        }
        for one in of_kind(folder, "ConfigMap")
        if isinstance(data := one.get("data"), dict)
    }


def files_of(folder: str, prefix: str) -> dict[str, bytes]:
    """The binary files of the ConfigMap whose name begins so."""
    for one in of_kind(folder, "ConfigMap"):
        data = one.get("binaryData")
        if str(at(one, "metadata.name")).startswith(prefix) and isinstance(data, dict):
            return {name: base64.b64decode(value) for name, value in data.items()}
    raise AssertionError(f"{folder} has no such ConfigMap: {prefix}")


def environment(
    container: Container,
    settings: Mapping[str, Mapping[str, str]],
    secrets: Mapping[str, Mapping[str, str]],
    pod: str,
) -> dict[str, str]:
    """A container's variables, as the kubelet would set them for the pod of this name."""
    found = image_environment() if container.image.startswith("geofix:") else {}
    for source in container.from_all:
        if source.settings is not None:
            found.update(settings[source.settings.name])
        if source.secret is not None and (
            source.secret.name in secrets or not source.secret.optional
        ):
            found.update(secrets[source.secret.name])
    for variable in container.env:
        value = variable.value
        if variable.source is not None and variable.source.secret is not None:
            value = secrets[variable.source.secret.name][variable.source.secret.key]
        elif variable.source is not None and variable.source.pod is not None:
            assert variable.source.pod.field == "metadata.name"
            value = pod
        # A variable that comes later is not known yet, and would stay as it stands.
        found[variable.name] = _VARIABLE.sub(lambda at: found.get(at[1], at[0]), value)
    return found
