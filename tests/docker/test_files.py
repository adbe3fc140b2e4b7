"""The files for containers: checked with the tools for them where there are any, and against what the code knows."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from io import StringIO
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
import redis
import yaml
from dotenv import dotenv_values
from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector
from pydantic import SecretStr

from greenpower.api.system.job_metrics import JobMetrics
from greenpower.api.system.metrics import RequestMetrics
from greenpower.bus.publisher import Publisher
from greenpower.cli.main import COMMANDS
from greenpower.config import ConfigError, Settings, load_settings
from greenpower.ingest.metrics import IngestMetrics
from greenpower.ingest.rollup_lag import LagMetrics
from greenpower.ingest.sources.admission import Admission
from greenpower.ingest.sources.mqtt.intake import MqttMetrics
from greenpower.loops import Loops
from greenpower.stack import Valkey
from greenpower.stack.mosquitto import SETTINGS as BROKER
from greenpower.stack.port import free_port
from greenpower.stack.stack import SERVICES
from tests.wait import wait_until

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
KUBERNETES = DOCKER / "kubernetes"
# The `.env` that the system was asked to start with; its keys have to be changed.
ASKED = """
DEBUG=0
SECRET_KEY=your-secret
ALLOWED_HOSTS=*
ENVIRONMENT=prod
POSTGRES_DB_NAME=green_power
POSTGRES_DB_USER=green_power_user
POSTGRES_DB_PASSWORD=green_power_pwd
POSTGRES_DB_HOST=green_power_postgres
POSTGRES_DB_PORT=5432
MONGO_DB_URI=mongodb://green_power_user:green_power_pwd@green_power_mongodb:27017/green_power?authSource=admin
MONGO_DB_USER=green_power_user
MONGO_DB_PASSWORD=green_power_pwd
MONGO_DB_NAME=green_power
REDIS_HOST=green_power_redis
REDIS_URL=redis://green_power_redis:6379/0
JWT_SIGNING_KEY=change-me
"""
WANTED = {
    "backend", "realtime", "mqtt", "tcp", "worker", "scheduler", "green_power_mongodb", "green_power_postgres",
    "green_power_redis", "mosquitto", "nginx",
}  # fmt: skip
# Read by the files themselves, not by our processes.
OF_COMPOSE = {
    "MONGO_DB_USER", "MONGO_DB_PASSWORD", "MONGO_CACHE_GB", "MQTT_PUBLIC_PORT", "HTTP_PORT", "GRAFANA_PASSWORD",
    "GRAFANA_PORT", "GRAFANA_API_KEY",
}  # fmt: skip
KNOWN = {name.upper() for name in Settings.model_fields}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DOCKER / "docker-compose.yml").read_text("utf-8"))
    return found


def manifests() -> list[dict[str, Any]]:
    names = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text("utf-8"))["resources"]
    paths = [KUBERNETES / name.replace("secret.yaml", "secret.example.yaml") for name in names]
    return [document for path in paths for document in yaml.safe_load_all(path.read_text("utf-8"))]


def test_the_linter_has_nothing_to_say_of_the_dockerfile() -> None:
    linter = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    assert linter is not None
    done = subprocess.run([linter, "--no-color", DOCKER / "Dockerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_what_the_dockerfile_copies_is_there_and_not_ignored() -> None:
    text = (DOCKER / "Dockerfile").read_text("utf-8")
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    copied = [name for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE) for name in line.split()[:-1]]
    assert len(copied) > 8
    for name in copied:
        assert (ROOT / name).exists(), name
        assert f"!{name.split('/')[0]}" in ignored, name


def test_all_services_are_there_each_with_a_check_limits_and_a_bounded_log(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert set(services) >= WANTED
    for name, service in services.items():
        assert "healthcheck" in service and service["restart"], name
        assert service["logging"]["options"]["max-size"], name
        assert service["deploy"]["resources"]["limits"]["memory"], name
        for needed in service.get("depends_on", {}):
            assert needed in services, (name, needed)
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert source in compose["volumes"] or (DOCKER / source).exists(), (name, source)


def test_our_services_run_commands_that_there_are(compose: dict[str, Any]) -> None:
    checks = {service.name for service in SERVICES}
    ours = {name: item for name, item in compose["services"].items() if item["image"].startswith("greenpower")}
    assert {item["command"][0] for item in ours.values()} == {*checks, "init"}
    for name, service in ours.items():
        assert service["command"][0] in COMMANDS, name
        if name != "init":
            _, program, probe, process = service["healthcheck"]["test"]
            assert (program, probe, process) == ("greenpower", "probe", service["command"][0]), name
        assert set(service["environment"]) <= KNOWN, name
        # What `.env` has for another use must not move what nginx, the checks and Prometheus rely on.
        for pinned in ("API_HOST", "API_PORT", "REALTIME_PORT", "INGEST_HTTP_HOST", "INGEST_HTTP_PORT", "TCP_HOST",
                       "GREENPOWER_HOME"):  # fmt: skip
            assert pinned in service["environment"], (name, pinned)
        assert "/var/lib/greenpower:uid=10001,gid=10001,mode=0700" in service["tmpfs"], name


def test_the_broker_is_healthy_with_and_without_passwords(compose: dict[str, Any]) -> None:
    # A check that logs in fails once `allow_anonymous` is false, and ingest waits for it.
    assert "mosquitto_sub" not in compose["services"]["mosquitto"]["healthcheck"]["test"]


def test_every_variable_is_one_that_somebody_reads() -> None:
    text = (DOCKER / "docker-compose.yml").read_text("utf-8")
    assert set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", text)) <= KNOWN | OF_COMPOSE
    example = dotenv_values(ROOT / ".env.example")
    assert set(example) <= KNOWN | OF_COMPOSE
    needed = set(re.findall(r"\$\{([A-Z_]+):\?", text))
    assert needed <= set(example) and needed <= set(dotenv_values(stream=StringIO(ASKED)))


def test_the_environment_that_was_asked_for_starts_it_once_its_keys_are_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in KNOWN:
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".env").write_text(ASKED.replace("your-secret", token_hex(32)).replace("change-me", token_hex(32)))
    settings = load_settings()
    settings.check_production()
    assert settings.sql_url.startswith(
        "postgresql+psycopg://green_power_user:green_power_pwd@green_power_postgres:5432/"
    )
    assert settings.redis_address == "redis://green_power_redis:6379/0"
    assert "green_power_mongodb" in settings.need("MONGO_DB_URI")


def test_the_broker_is_set_as_the_promises_need_it() -> None:
    lines = (line.split(None, 1) for line in (DOCKER / "mosquitto.conf").read_text("utf-8").splitlines())
    found = {line[0]: line[1] for line in lines if len(line) == 2 and not line[0].startswith("#")}
    for name in (
        "persistence", "autosave_interval", "max_queued_messages", "max_queued_bytes", "max_inflight_messages",
        "upgrade_outgoing_qos", "message_size_limit",
    ):  # fmt: skip
        assert found[name] == BROKER[name], name


def metric_names() -> set[str]:
    """All that ingest, the gateway and the API serve at /metrics, `_bucket` and the like included."""
    metrics = IngestMetrics()
    LagMetrics(metrics.registry, ())
    Loops(metrics.registry)
    MqttMetrics(metrics.registry)
    Admission(load_settings(), metrics.registry)
    Publisher("redis://127.0.0.1:1", metrics.registry)
    names = {"up", *_names(metrics.registry)}
    text = (ROOT / "greenpower/realtime/metrics.py").read_text("utf-8")
    names |= _names(RequestMetrics(None)) | _names(JobMetrics(None))
    for kind, name in re.findall(r'(Counter|Gauge)\(\s*"(greenpower_\w+)"', text):
        names.add(f"{name}_total" if kind == "Counter" else name)
    return names


def _names(registry: CollectorRegistry | Collector) -> set[str]:
    names = set()
    for metric in registry.collect():
        if metric.type == "counter":
            names.add(f"{metric.name}_total")
        elif metric.type == "histogram":
            names |= {f"{metric.name}_{part}" for part in ("bucket", "sum", "count")}
        else:
            names.add(metric.name)
    return names


def test_alerts_and_panels_ask_for_metrics_that_there_are() -> None:
    rules = yaml.safe_load((DOCKER / "prometheus/alerts.yml").read_text("utf-8"))
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    board = json.loads((DOCKER / "grafana/dashboard.json").read_text("utf-8"))
    asked = [rule["expr"] for rule in alerts] + [
        target["expr"] for panel in board["panels"] for target in panel["targets"]
    ]
    assert len(alerts) > 8 and len(asked) > 20
    there = metric_names()
    used = {name for expression in asked for name in re.findall(r"\b(?:greenpower_\w+|up)\b", expression)}
    assert used <= there, used - there
    assert all(rule["labels"]["severity"] in ("critical", "warning") for rule in alerts)


def test_the_scraped_places_are_services(compose: dict[str, Any]) -> None:
    jobs = yaml.safe_load((DOCKER / "prometheus/prometheus.yml").read_text("utf-8"))["scrape_configs"]
    names = {name for job in jobs for place in job["dns_sd_configs"] for name in place["names"]}
    known = set(compose["services"]) | {alias for service in compose["services"].values() for alias in aliases(service)}
    assert names <= known


def aliases(service: dict[str, Any]) -> list[str]:
    networks = service["networks"]
    places = networks.values() if isinstance(networks, dict) else ()
    return [name for place in places for name in place.get("aliases", ())]


def test_networks_part_what_strangers_reach_from_the_databases(compose: dict[str, Any]) -> None:
    services = compose["services"]
    on = {name: set(service["networks"]) for name, service in services.items()}
    assert compose["networks"]["data"] == {"internal": True}
    for name, service in services.items():
        assert on[name] <= set(compose["networks"]), name
        ours = service["image"].startswith("greenpower")
        if not ours:
            assert len(on[name]) == 1, f"{name} would join two networks"
        assert ("data" in on[name]) == (
            ours or ("/data" in str(service.get("volumes")) and name.startswith("green_power"))
        )
        if "ports" in service:
            assert on[name] != {"data"}, f"{name} cannot be reached from outside"
        for needed in service.get("depends_on", {}):
            assert needed == "init" or on[name] & on[needed], (name, needed)
    # Who asks whom, beside what depends on it: nginx, monitoring, health of the API, commands of the worker.
    jobs = yaml.safe_load((DOCKER / "prometheus/prometheus.yml").read_text("utf-8"))["scrape_configs"]
    scraped = {name for job in jobs for place in job["dns_sd_configs"] for name in place["names"]}
    asks = [("prometheus", name) for name in services if scraped & {name, *aliases(services[name])}]
    asks += [("nginx", "backend"), ("nginx", "realtime"), ("grafana", "prometheus"), ("grafana", "backend")]
    asks += [("backend", name) for name in ("mqtt", "mqtt-2", "tcp", "mosquitto")] + [("worker", "mosquitto")]
    assert len(asks) > 11
    for asking, asked in asks:
        assert on[asking] & on[asked], (asking, asked)


def test_redis_asks_for_a_password_that_is_in_no_command_line(
    compose: dict[str, Any], tmp_path: Path, valkey: Valkey
) -> None:
    """Its start, run with a real server in place of Redis's."""
    service = compose["services"]["green_power_redis"]
    password = service["environment"]["REDISCLI_AUTH"]
    ours = [item for item in compose["services"].values() if item["image"].startswith("greenpower")]
    assert {item["environment"]["REDIS_PASSWORD"] for item in ours} == {password}
    shell, dash, script = service["entrypoint"]
    file, port = tmp_path / "redis.conf", free_port()
    for given, used in (("$$", "$"), ("/run/redis.conf", str(file)), ("chown redis", "true"),
                        ("docker-entrypoint.sh redis-server", valkey.command()[0])):  # fmt: skip
        assert given in script
        script = script.replace(given, used)
    command = [shell, dash, f"{script} --port {port} --bind 127.0.0.1 --dir {tmp_path}"]
    server = subprocess.Popen(command, env={"PATH": os.environ["PATH"], "REDISCLI_AUTH": "p4ss"})
    try:
        with redis.Redis(port=port) as stranger, redis.Redis(port=port, password="p4ss") as client:
            wait_until(lambda: refuses(stranger))
            assert client.ping() and client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert "p4ss" not in Path(f"/proc/{server.pid}/cmdline").read_text()
        assert file.stat().st_mode & 0o777 == 0o600
    finally:
        server.kill()
        server.wait()


def refuses(client: redis.Redis) -> bool:
    """Whether a server is there and wants a password; raises nothing while none is."""
    try:
        client.ping()
    except redis.AuthenticationError:
        return True
    except redis.ConnectionError:
        return False
    raise AssertionError("no password was asked for")


def test_each_ingest_process_is_scraped_and_has_a_session_of_its_own(compose: dict[str, Any]) -> None:
    ours = {name: item for name, item in compose["services"].items() if item.get("command", [""])[0] == "ingest"}
    assert set(ours) == {"mqtt", "mqtt-2", "tcp"}
    assert all("ingest" in aliases(item) for item in ours.values())
    sessions = [item["environment"]["MQTT_CLIENT_ID"] for item in ours.values() if "--mqtt" in item["command"]]
    assert len(set(sessions)) == len(sessions) == 2
    # Another one is named to health in `.env` alone.
    default = ours["mqtt"]["environment"]["INGEST_ADDRESSES"]
    assert default == "${INGEST_ADDRESSES:-mqtt:7002,tcp:7002}"
    assert ours["mqtt-2"]["profiles"] == ["shared"]


def test_grafana_does_not_start_on_its_default_password(compose: dict[str, Any]) -> None:
    shell, dash, script = compose["services"]["grafana"]["entrypoint"]
    script = script.replace("$$", "$").replace("exec /run.sh", "echo started")
    for password, started in (("", False), ("correct horse", True)):
        done = subprocess.run(
            [shell, dash, script], env={"GF_SECURITY_ADMIN_PASSWORD": password}, capture_output=True, text=True
        )
        assert (done.returncode == 0, "started" in done.stdout) == (started, started)


def test_kubernetes_runs_the_same_processes_with_settings_that_there_are() -> None:
    documents = manifests()
    pods = [document["spec"]["template"]["spec"] for document in documents if "template" in document.get("spec", {})]
    containers = [container for pod in pods for container in pod["containers"]]
    assert {container["args"][0] for container in containers} == {*(service.name for service in SERVICES), "init"}
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"]
        # The kubelet adds API_PORT=tcp://… for a Service named api otherwise, and nothing starts.
        assert pod["enableServiceLinks"] is False
    for container in containers:
        assert container["image"] == "greenpower" and container["resources"]["limits"]["memory"], container["name"]
        assert {item["name"] for item in container.get("env", [])} <= KNOWN
        if "ports" in container:
            assert "livenessProbe" in container, container["name"]
    for document in documents:
        if document["kind"] in ("ConfigMap", "Secret"):
            assert set(document.get("data") or document["stringData"]) <= KNOWN


def test_kubernetes_services_lead_to_pods() -> None:
    documents = manifests()
    labels = {item["spec"]["template"]["metadata"]["labels"]["app"] for item in documents if item["kind"] != "Ingress"
              and "template" in item.get("spec", {})}  # fmt: skip
    services = {item["metadata"]["name"]: item for item in documents if item["kind"] == "Service"}
    assert all(service["spec"]["selector"]["app"] in labels for service in services.values())
    for ingress in (item for item in documents if item["kind"] == "Ingress"):
        for rule in ingress["spec"]["rules"]:
            assert all(path["backend"]["service"]["name"] in services for path in rule["http"]["paths"])


def test_what_is_scaled_by_itself_has_no_number_of_its_own() -> None:
    documents = manifests()
    there = {(item["kind"], item["metadata"]["name"]): item for item in documents}
    scalers = [item["spec"] for item in documents if item["kind"] == "HorizontalPodAutoscaler"]
    assert scalers
    for scaler in scalers:
        target = there[scaler["scaleTargetRef"]["kind"], scaler["scaleTargetRef"]["name"]]
        assert "replicas" not in target["spec"], "applied again, it would undo what the autoscaler did"
        assert all(item["resources"]["requests"]["cpu"] for item in target["spec"]["template"]["spec"]["containers"])
        assert 1 < scaler["minReplicas"] < scaler["maxReplicas"]


def test_every_secret_of_the_example_for_kubernetes_is_refused() -> None:
    (example,) = yaml.safe_load_all((KUBERNETES / "secret.example.yaml").read_text("utf-8"))
    given = {name.lower(): value for name, value in example["stringData"].items()}
    with pytest.raises(ConfigError) as caught:
        load_settings(environment="prod", **given).check_production()
    assert {line.split()[0].lower() for line in str(caught.value).splitlines()} == set(given)


def test_the_example_is_refused_until_its_keys_are_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example = dotenv_values(ROOT / ".env.example")
    assert SecretStr(example["SECRET_KEY"] or "").get_secret_value() == "change-me"
    monkeypatch.chdir(tmp_path)
    for name in KNOWN:
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".env").write_text((ROOT / ".env.example").read_text("utf-8"))
    with pytest.raises(ConfigError) as caught:
        load_settings().check_production()
    assert {line.split()[0] for line in str(caught.value).splitlines()} == {
        name for name, value in example.items() if value and "change-me" in value and name in KNOWN
    }
