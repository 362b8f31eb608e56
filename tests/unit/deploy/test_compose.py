"""compose.yaml has the same shape as production: the same stages, the same commands, no secret, loopback only."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.domain.job import Stage

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
SERVERS = {"postgres", "redis", "s3"}


@pytest.fixture
def services() -> dict[str, Any]:
    """The services with their anchors resolved."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    return found


def test_one_container_per_stage(services: dict[str, Any]) -> None:
    """Three servers, the migration, the API, the steward and each stage."""
    assert set(services) == {*SERVERS, "migrate", "api", "steward", *map(str, Stage)}


def test_commands_are_those_of_fly(services: dict[str, Any]) -> None:
    """A worker is started in both places by the same words, but for Flower's events; and so is the migration."""
    fly = tomllib.loads((ROOT / "fly.toml").read_text())
    for group in (*map(str, Stage), "steward"):
        assert services[group]["command"] == fly["processes"][group].removesuffix(" --events")
    assert services["migrate"]["command"] == fly["deploy"]["release_command"]


def test_passwords_come_from_outside(services: dict[str, Any]) -> None:
    """Each variable that is needed is in the example file, without a value; nothing has a default password."""
    example = (ROOT / "infra/compose.env.example").read_text().splitlines()
    named = {line.removesuffix("=") for line in example if line.endswith("=")}
    values = [str(value) for service in services.values() for value in service.get("environment", {}).values()]
    asked = {value.partition("${")[2].partition("}")[0] for value in values if "${" in value}
    assert {name.partition(":")[0] for name in asked} <= named
    optional = ("OPENAI_API_KEY", "GEMINI_API_KEY", "VIBEINSIGHT_LANGUAGE_MODEL")
    assert all(name.partition(":")[2].startswith("?") for name in asked if not name.startswith(optional))


def test_ports_are_on_loopback_only(services: dict[str, Any]) -> None:
    """The machine's neighbours see nothing; the servers have no port outside at all."""
    ports = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert ports == {"api": ["127.0.0.1:8080:8080"]}


def test_images_are_pinned(services: dict[str, Any]) -> None:
    """Every foreign image has a tag with a version."""
    for name in SERVERS:
        image, _, tag = services[name]["image"].partition(":")
        assert tag, image
        assert any(letter.isdigit() for letter in tag), image


def test_nothing_starts_before_what_it_needs(services: dict[str, Any]) -> None:
    """Workers wait for the schema and the servers, and each server says when it is ready."""
    assert all("healthcheck" in services[name] for name in SERVERS)
    for group in (*map(str, Stage), "steward", "api"):
        assert set(services[group]["depends_on"]) == {"migrate", "redis", "s3"}


def test_mounted_files_exist(services: dict[str, Any]) -> None:
    """Docker makes an empty folder of a file that is not there."""
    mounts = [volume for service in services.values() for volume in service.get("volumes", [])]
    sources = [mount.partition(":")[0] for mount in mounts if mount.startswith("./")]
    assert sources
    assert all((ROOT / source).is_file() for source in sources)
