"""k8s/: what every folder renders to is valid, restricted and fits together."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from geofix.settings import Settings
from monitoring import prometheus_rule
from tests.deploy.containers import ROOT, compose
from tests.deploy.manifests import (
    K8S,
    OVERLAYS,
    RENDERED,
    Container,
    Resource,
    at,
    of_kind,
    resources,
    settings_of,
    text,
    tool,
    workloads,
)

KUBERNETES = ("1.30", "1.37")
"""The oldest that is supported, and the newest that is known."""
CUSTOM = {"ServiceMonitor", "PodMonitor", "PrometheusRule", "ScaledObject"}
SECRETS = {
    "geofix": {"redis-password", "worker-key", "api-key"},
    "geofix-qdrant": {"api-key"},
}
NOT_PUBLIC = {"/metrics", "/healthz", "/readyz"}


def run(command: list[str | Path], timeout: float = 240.0, **given: str) -> str:
    done = subprocess.run(  # noqa: S603
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
        env={**os.environ, **given},
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file for each, as kubectl renders them."""
    folder = tmp_path_factory.mktemp("rendered")
    for name in RENDERED:
        (folder / f"{name.replace('/', '-')}.yaml").write_text(text(name), "utf-8")
    return folder


@pytest.mark.tools
def test_kubernetes_knows_every_field(rendered: Path, tmp_path: Path) -> None:
    for name in RENDERED:
        builtin = [one for one in resources(name) if one["kind"] not in CUSTOM]
        (tmp_path / f"{name.replace('/', '-')}.yaml").write_text(yaml.safe_dump_all(builtin))
    files = sorted(tmp_path.iterdir())
    assert len(files) == len(RENDERED) == 7
    for version in KUBERNETES:
        run([tool("kubernetes-validate"), "--strict", "-k", version, *files])
    spoilt = tmp_path / "spoilt.yaml"
    spoilt.write_text(files[0].read_text().replace("readOnlyRootFilesystem", "readOnlyRoot"))
    with pytest.raises(AssertionError, match="readOnlyRoot"):
        run([tool("kubernetes-validate"), "--strict", spoilt])


@pytest.mark.tools
def test_checkov_finds_nothing_that_is_not_answered(rendered: Path) -> None:
    said = run(
        [
            *(tool("checkov"), "--skip-download", "--framework", "kubernetes", "--quiet"),
            *("--output", "json", "--directory", rendered),
        ],
        timeout=280,
    )
    summary = json.loads(said)["summary"]
    assert summary["failed"] == 0
    assert summary["parsing_errors"] == 0
    assert summary["passed"] > 1000
    for name in RENDERED:
        for workload in workloads(name):
            answers = at(workload.raw, "metadata.annotations")
            assert isinstance(answers, dict)
            for answer in answers.values():
                assert re.fullmatch(r"CKV_K8S_\d+=.{30,}\.", answer), answer


@pytest.mark.tools
def test_custom_resources_are_as_their_operators_define_them(rendered: Path) -> None:
    script = Path(__file__).parent / "crd_check.py"
    said = run([tool("python"), script, *sorted(rendered.iterdir())])
    seen = set(said.split())
    assert seen == CUSTOM
    spoilt = rendered.parent / "spoilt.yaml"
    spoilt.write_text(text("overlays/autoscale").replace("pollingInterval", "pollInterval"))
    with pytest.raises(AssertionError, match="pollInterval"):
        run([tool("python"), script, spoilt])


@pytest.mark.tools
@pytest.mark.parametrize("name", RENDERED)
def test_pods_are_restricted_and_told_nothing_they_do_not_know(name: str) -> None:
    known = {f"GEOFIX_{field.upper()}" for field in Settings.model_fields}
    known |= {"POD_NAME", "REDIS_PASSWORD", "AWS_REGION"}
    assert not of_kind(name, "Secret")
    for workload in workloads(name):
        spec = at(workload.raw, "spec.template.spec")
        assert isinstance(spec, dict)
        assert spec["enableServiceLinks"] is False  # or a Service called geofix sets GEOFIX_PORT
        assert spec["automountServiceAccountToken"] is False
        assert at(spec, "securityContext.runAsNonRoot") is True
        assert at(spec, "securityContext.seccompProfile.type") == "RuntimeDefault"
        allowed = {"emptyDir", "secret", "configMap"}
        assert {key for one in spec.get("volumes", []) for key in one} <= {"name", *allowed}
        for raw in [*spec["containers"], *spec.get("initContainers", [])]:
            assert raw["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert raw["resources"]["requests"].keys() >= {"cpu", "memory"}
            assert "memory" in raw["resources"]["limits"]
            container = Container.model_validate(raw)
            assert {one.name for one in container.env} <= known
            assert {mount.path for mount in container.mounts} >= ({"/data"} | _tmp(container))
            for one in container.env:
                if one.source is not None and one.source.secret is not None:
                    assert one.source.secret.key in SECRETS[one.source.secret.name]
    for settings in settings_of(name).values():
        assert {key for key in settings if not key.endswith(".json")} <= known


def _tmp(container: Container) -> set[str]:
    return {"/tmp"} if container.image.startswith("geofix:") else set()  # noqa: S108 - in a pod


@pytest.mark.tools
@pytest.mark.parametrize("name", [f"overlays/{one}" for one in OVERLAYS])
def test_what_is_named_is_there(name: str) -> None:
    pods = {workload.name: workload.labels for workload in workloads(name)}
    ports = {"http", "redis"}
    assert {at(one, "metadata.namespace") for one in resources(name)} <= {"geofix", None}
    for service in of_kind(name, "Service"):
        assert _selected(at(service, "spec.selector"), pods), service
        opened = at(service, "spec.ports")
        assert isinstance(opened, list)
        assert {one["targetPort"] for one in opened} <= ports
    budgets = [at(one, "spec.selector") for one in of_kind(name, "PodDisruptionBudget")]
    for workload, labels in pods.items():
        held = [one for one in budgets if _selected(one, {workload: labels})]
        assert len(held) == (0 if workload == "geofix-clock" else 1), workload
    outside = {"qdrant": {"app.kubernetes.io/name": "qdrant"}}  # by its own chart
    for monitor in of_kind(name, "PodMonitor"):
        assert _selected(at(monitor, "spec.selector"), pods) == {"geofix-worker", "geofix-control"}
    for policy in of_kind(name, "NetworkPolicy"):
        assert _selected(at(policy, "spec.podSelector"), {**pods, **outside}), policy
    for scaling in of_kind(name, "HorizontalPodAutoscaler", "ScaledObject"):
        target = at(scaling, "spec.scaleTargetRef")
        assert isinstance(target, dict)
        (scaled,) = [one for one in workloads(name) if one.name == target["name"]]
        assert scaled.kind == target["kind"]
    scaled_by = [at(one, "spec.scaleTargetRef.name") for one in resources(name)]
    by_name = [one for one in scaled_by if one is not None]
    assert len(by_name) == len(set(by_name))  # two that scale the same fight


def _selected(selector: object, pods: Mapping[str, Mapping[str, str]]) -> set[str]:
    """The pods that a selector of a Service or of anything newer matches."""
    assert isinstance(selector, dict)
    wanted = selector.get("matchLabels", {}) if selector.keys() <= _NEWER else selector
    among = {one["key"]: one["values"] for one in selector.get("matchExpressions", [])}
    return {
        name
        for name, labels in pods.items()
        if wanted.items() <= labels.items()
        and all(labels.get(key) in values for key, values in among.items())
    }


_NEWER = {"matchLabels", "matchExpressions"}


@pytest.mark.tools
def test_images_have_the_version_that_is_built_and_compose_runs() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    redis = compose()["services"]["redis"]["image"]
    for name in RENDERED:
        kind = "gpu" if name == "overlays/gpu" else "cpu"
        pods = [workload.pod for workload in workloads(name)]
        images = {one.image for pod in pods for one in (*pod.containers, *pod.init)}
        assert images <= {f"geofix:{version}-{kind}", redis}
    values = yaml.safe_load((K8S / "components" / "qdrant" / "values.yaml").read_text())
    assert compose()["services"]["qdrant"]["image"] == (
        f"qdrant/qdrant:{values['image']['tag']}-unprivileged"
    )


@pytest.mark.tools
def test_a_qdrant_cluster_is_reached_as_its_chart_is_told() -> None:
    values = yaml.safe_load((K8S / "components" / "qdrant" / "values.yaml").read_text())
    key = values["apiKey"]["valueFrom"]["secretKeyRef"]
    assert key["key"] in SECRETS[key["name"]]
    (primary,) = [one for one in workloads("overlays/qdrant") if "primary" in one.name]
    for container in primary.pod.containers:
        given = {one.name: one for one in container.env}
        source = given["GEOFIX_QDRANT_API_KEY"].source
        assert source is not None
        assert source.secret is not None
        assert source.secret.model_dump(include={"name", "key"}) == key
        layout = json.loads(given["GEOFIX_QDRANT_LAYOUT"].value)
        assert layout["shards"] % values["replicaCount"] == 0
        assert layout["replicas"] <= values["replicaCount"]
    assert not any("replica" in one.name for one in workloads("overlays/qdrant"))
    context = values["containerSecurityContext"]
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["runAsNonRoot"] is values["image"]["useUnprivilegedImage"] is True
    assert context["seccompProfile"]["type"] == "RuntimeDefault"
    assert values["updateVolumeFsOwnership"] is False


@pytest.mark.tools
def test_the_way_in_leads_to_the_public_interface_and_no_further() -> None:
    (ingress,) = of_kind("overlays/cpu", "Ingress")
    rules = at(ingress, "spec.rules")
    assert isinstance(rules, list)
    paths = rules[0]["http"]["paths"]
    offered = json.loads((ROOT / "openapi" / "openapi.json").read_text())["paths"]
    for path in (*offered, "/v1/internal/original"):
        leads = [one["backend"]["service"]["name"] for one in paths if _matches(one, path)]
        changes = path.startswith("/v1/galleries")
        public = path not in NOT_PUBLIC and not path.startswith("/v1/internal")
        wanted = "geofix-primary" if changes else "geofix"
        assert leads == ([wanted] if public else []), path


def _matches(rule: Resource, path: str) -> bool:
    wanted = str(rule["path"])
    return path == wanted or (rule["pathType"] == "Prefix" and path.startswith(f"{wanted}/"))


def test_the_operators_rules_are_the_rules() -> None:
    """``python -m monitoring.prometheus_rule`` writes them."""
    assert prometheus_rule.TARGET.read_text("utf-8") == prometheus_rule.document()
    groups = yaml.safe_load(prometheus_rule.document())["spec"]["groups"]
    names = [group["name"] for group in groups]
    assert len(names) == len(set(names))


@pytest.mark.tools
def test_every_dashboard_and_alert_comes_along(tmp_path: Path) -> None:
    found = settings_of("overlays/monitoring")["geofix-dashboards"]
    written = {path.name: path for path in (ROOT / "monitoring" / "grafana").glob("*.json")}
    assert found.keys() == written.keys()
    for name, path in written.items():
        assert json.loads(found[name]) == json.loads(path.read_text("utf-8"))
    (rule,) = of_kind("overlays/monitoring", "PrometheusRule")
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": at(rule, "spec.groups")}))
    run(["promtool", "check", "rules", file])


@pytest.mark.tools
def test_the_overlay_of_the_guide_renders(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "kubernetes.md").read_text("utf-8")
    (own,) = re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)
    (tmp_path / "kustomization.yaml").write_text(own)
    for folder in ("k8s", "monitoring"):
        shutil.copytree(ROOT / folder, tmp_path / "geofix" / folder)
    said = run([tool("kubectl"), "kustomize", tmp_path])
    assert "image: registry.example.org/geofix:0.1.0-cpu" in said
    assert "GEOFIX_OBJECT_STORE_URL: s3://your-bucket/geofix" in said
    assert "host: geofix.your.org" in said
    assert "example.org\n" not in said.replace("registry.example.org", "")
    for secret, keys in SECRETS.items():
        assert secret in guide
        assert all(key in guide for key in keys)


@pytest.mark.tools
def test_jobs_run_by_themselves() -> None:
    """They are applied apart: what they name must not have a name that another folder makes."""
    for name in ("jobs/migrate", "jobs/smoke"):
        own = settings_of(name).keys() | {str(at(one, "metadata.name")) for one in resources(name)}
        for workload in workloads(name):
            for container in workload.pod.containers:
                assert container.from_all == []
            volumes = at(workload.raw, "spec.template.spec.volumes")
            assert isinstance(volumes, list)
            assert {v["configMap"]["name"] for v in volumes if "configMap" in v} <= own
