# SPDX-License-Identifier: MIT
"""The manifests in deploy/: right by their schemas, and what `cryptensor party` reads."""

import copy
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from cryptensor import hosts

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
NAMES = ("alice", "bob", "dealer")
PARTIES = NAMES[:2]


def compose():
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def kubernetes():
    """All objects of the manifests, by kind and name."""
    files = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    objects = [item for file in files for item in yaml.safe_load_all(file.read_text())]
    found = {(item["kind"], item["metadata"]["name"]): item for item in objects}
    assert len(found) == len(objects) > 0
    return found


def pod(host):
    return kubernetes()["Job", host]["spec"]["template"]


def container(host):
    (only,) = pod(host)["spec"]["containers"]
    return only


def compose_faults(file):
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*command, str(file)], capture_output=True, text=True, timeout=100)
    return done.stdout + done.stderr if done.returncode else ""


def test_compose_fits_the_schema_of_its_specification(tmp_path):
    assert compose_faults(DEPLOY / "compose.yaml") == ""
    wrong = compose()
    wrong["services"]["bob"]["read_only"] = {"yes": 1}
    (tmp_path / "compose.yaml").write_text(yaml.safe_dump(wrong))
    assert "read_only" in compose_faults(tmp_path / "compose.yaml")


def test_kubernetes_objects_fit_their_schemas():
    import kubernetes_validate

    version = kubernetes_validate.latest_version()
    for item in kubernetes().values():
        kubernetes_validate.validate(item, version, strict=True)
    wrong = copy.deepcopy(kubernetes()["Job", "bob"])
    wrong["spec"]["template"]["spec"]["containers"][0]["readOnly"] = True
    with pytest.raises(kubernetes_validate.ValidationError, match="readOnly"):
        kubernetes_validate.validate(wrong, version, strict=True)


def test_every_object_is_in_the_namespace():
    objects = kubernetes()
    (namespace,) = [name for kind, name in objects if kind == "Namespace"]
    for (kind, _), item in objects.items():
        assert kind == "Namespace" or item["metadata"]["namespace"] == namespace


# ---- the configurations, by the reader that runs them ------------------------------------------


def of_compose(host, folder):
    (source,) = compose()["services"][host]["configs"]
    return source["target"], compose()["configs"][source["source"]]["content"]


def of_kubernetes(host, folder):
    (name,), (content,) = zip(*kubernetes()["ConfigMap", host]["data"].items(), strict=True)
    volumes = {row["name"]: row for row in pod(host)["spec"]["volumes"]}
    (mount,) = [
        row["mountPath"]
        for row in container(host)["volumeMounts"]
        if volumes[row["name"]].get("configMap") == {"name": host}
    ]
    return f"{mount}/{name}", content


def of_example(host, folder):
    return f"{host}.toml", (ROOT / "examples/hosts" / f"{host}.toml").read_text()


SOURCES = [of_compose, of_kubernetes, of_example]
sources = pytest.mark.parametrize("source", SOURCES, ids=["compose", "kubernetes", "example"])


def configurations(source, folder):
    found = {}
    for host in NAMES:
        _, content = source(host, folder)
        (folder / f"{host}.toml").write_text(content)
        found[host] = hosts.read(folder / f"{host}.toml")
    return found


@sources
def test_the_hosts_make_one_session(source, tmp_path):
    found = configurations(source, tmp_path)
    assert [found[host].rank for host in NAMES] == [0, 1, 2]
    assert [found[host].is_dealer for host in NAMES] == [False, False, True]
    agreed = [config.settings.agreement() for config in found.values()]
    assert agreed[0] == agreed[1] == agreed[2] and agreed[0]["encrypted"]
    assert len({(c.meeting_host, c.meeting_port) for c in found.values()}) == 1


@pytest.mark.parametrize("host", NAMES)
def test_containers_run_the_command_with_their_configuration(host):
    for source, command in (
        (of_compose, compose()["services"][host]["command"]),
        (of_kubernetes, container(host)["args"]),
    ):
        path, _ = source(host, None)
        program = ["/srv/examples/hosts/program.py", "/data"] if host in PARTIES else []
        assert command == ["party", "--config", path, *program]


@pytest.mark.parametrize("host", NAMES)
def test_names_and_ports_of_compose(host, tmp_path):
    config = configurations(of_compose, tmp_path)[host]
    service = compose()["services"][host]
    ports = {str(config.port)} | ({str(config.meeting_port)} if host == "alice" else set())
    assert set(service["expose"]) == ports
    assert compose()["services"][config.meeting_host]["hostname"] == "alice"
    (volume,) = service["volumes"]
    assert volume.split(":")[:2] == [f"./hosts/{host}", "/data"]
    assert config.settings.certificates == "/data/certificates"


@pytest.mark.parametrize("host", NAMES)
def test_names_and_ports_of_kubernetes(host, tmp_path):
    config = configurations(of_kubernetes, tmp_path)[host]
    objects = kubernetes()
    ports = {row["name"]: row["containerPort"] for row in container(host)["ports"]}
    meeting = {"meeting": config.meeting_port} if host == "alice" else {}
    assert ports == {"links": config.port, **meeting}
    spec, service = pod(host)["spec"], objects["Service", "hosts"]
    assert (spec["hostname"], spec["subdomain"]) == (host, service["metadata"]["name"])
    namespace = service["metadata"]["namespace"]
    assert config.meeting_host == f"alice.hosts.{namespace}.svc.cluster.local"
    assert service["spec"]["clusterIP"] == "None" and service["spec"]["publishNotReadyAddresses"]
    open_ports = {config.port, config.meeting_port}
    assert {row["port"] for row in service["spec"]["ports"]} == open_ports
    policy = objects["NetworkPolicy", "links"]["spec"]
    labels = pod(host)["metadata"]["labels"].items()
    assert service["spec"]["selector"].items() <= labels
    for way, ends in (("ingress", "from"), ("egress", "to")):
        rule = policy[way][0]
        assert {row["port"] for row in rule["ports"]} == open_ports
        assert rule[ends][0]["podSelector"]["matchLabels"].items() <= labels
    assert policy["podSelector"] == {}


@pytest.mark.parametrize("host", NAMES)
def test_volumes_of_kubernetes(host, tmp_path):
    config = configurations(of_kubernetes, tmp_path)[host]
    volumes = {row["name"]: row for row in pod(host)["spec"]["volumes"]}
    mounts = {row["mountPath"]: volumes[row["name"]] for row in container(host)["volumeMounts"]}
    assert len(mounts) == len(volumes)
    secret = mounts[config.settings.certificates]["secret"]
    assert secret == {"secretName": f"{host}-certificates", "defaultMode": 0o440}
    assert secret["secretName"] in (DEPLOY / "kubernetes/namespace.yaml").read_text()
    claims = [
        row["persistentVolumeClaim"]["claimName"] for path, row in mounts.items() if path == "/data"
    ]
    assert claims == ([f"{host}-data"] if host in PARTIES else [])
    assert all(("PersistentVolumeClaim", name) in kubernetes() for name in claims)


@pytest.mark.parametrize("host", NAMES)
def test_nothing_runs_with_more_rights_than_it_needs(host):
    spec = pod(host)["spec"]
    assert spec["securityContext"]["runAsNonRoot"] and not spec["automountServiceAccountToken"]
    rights = container(host)["securityContext"]
    assert rights["readOnlyRootFilesystem"] and not rights["allowPrivilegeEscalation"]
    assert rights["capabilities"] == {"drop": ["ALL"]}
    assert set(container(host)["resources"]) == {"requests", "limits"}
    service = compose()["services"][host]
    assert service["read_only"] and service["cap_drop"] == ["ALL"]
    user = f"{spec['securityContext']['runAsUser']}:{spec['securityContext']['runAsGroup']}"
    assert service["user"] == user
    assert f"\nUSER {user}\n" in (DEPLOY / "Dockerfile").read_text()
    assert not any("privileged" in key for key in service)


def test_a_rank_that_a_restart_cannot_help_is_not_restarted():
    from cryptensor.hosts import running

    for host in NAMES:
        job = kubernetes()["Job", host]["spec"]
        (rule,) = job["podFailurePolicy"]["rules"]
        hopeless = [running.FAILED, running.MISCONFIGURED, running.UNAUTHENTICATED]
        assert rule["action"] == "FailJob" and rule["onExitCodes"]["values"] == hopeless
        assert rule["onExitCodes"]["containerName"] == container(host)["name"]


def test_the_image_has_what_is_run_and_finds_what_it_copies():
    text = (DEPLOY / "Dockerfile").read_text()
    allowed = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
    for name in " ".join(copied).split():
        assert (ROOT / name).exists(), name
        assert f"!{name.split('/')[0]}" in allowed, name
    assert "COPY examples/hosts/program.py /srv/examples/hosts/" in text
    assert 'ENTRYPOINT ["tini", "--", "cryptensor"]' in text
    for word in ("torch==2.13.0",):
        assert word in text and word in (ROOT / "Makefile").read_text()
