import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
PINNED = re.compile(r"[\w./-]+:\d+\.\d+\.\d+(-[\w.-]+)?")
PARTS = {
    "topics": ["topics", "ensure"],
    "collector": ["collector"],
    "worker": ["worker"],
    "sink-redis": ["sink", "redis"],
    "sink-webhook": ["sink", "webhook"],
    "sink-alerts": ["sink", "alerts"],
    "sink-metrics": ["sink", "metrics"],
}


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    compose = yaml.safe_load(COMPOSE.read_text())
    assert "version" not in compose, "the key is obsolete"
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


def test_it_follows_the_compose_specification() -> None:
    check = Path(sys.executable).with_name("check-jsonschema")
    run = subprocess.run(
        [check, "--builtin-schema", "vendor.compose-spec", COMPOSE], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_part_is_there_and_says_which_it_is(services: dict[str, dict[str, Any]]) -> None:
    assert set(services) == {"kafka", "redis", *PARTS}
    for name, words in PARTS.items():
        assert services[name]["command"][: len(words)] == words


def test_every_image_is_pinned(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert PINNED.fullmatch(service["image"]), f"{name}: {service['image']}"
    bases = re.findall(r"^FROM (\S+)", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE)
    assert bases
    assert all(PINNED.fullmatch(base) for base in bases), bases


def test_ports_are_published_on_loopback_only(services: dict[str, dict[str, Any]]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports), ports


def test_parts_start_after_the_topics_and_the_topics_after_a_healthy_kafka(services: dict[str, dict[str, Any]]) -> None:
    assert services["topics"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    for name in set(PARTS) - {"topics"}:
        assert services[name]["depends_on"]["topics"] == {"condition": "service_completed_successfully"}, name


def test_whatever_runs_on_has_a_health_check(services: dict[str, dict[str, Any]]) -> None:
    for name in set(services) - {"topics"}:
        assert services[name]["healthcheck"]["test"][0].startswith("CMD"), name


def test_no_secret_is_written_down(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        for variable, value in (service.get("environment") or {}).items():
            if re.search("SECRET|PASSWORD|TOKEN", variable):
                assert value.startswith("${"), f"{name}: {variable}"


def test_the_image_holds_every_package_and_runs_as_nobody_special() -> None:
    text = (ROOT / "deploy" / "Dockerfile").read_text()
    for package in ("schemas", "processors", "sources", "sinks", "streams"):
        assert f"COPY {package} {package}\n" in text
    assert re.search(r"^USER 10001$", text, re.MULTILINE)
