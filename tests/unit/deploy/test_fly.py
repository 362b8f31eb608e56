"""The Fly files say only what the platform knows and what the code has.

A deploy silently ignores an unknown section and starts any command; a wrong word is found at night, by a queue that
nobody serves. Here it is found before.
"""

import importlib.util
import json
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest

from shared.domain.job import Stage
from shared.settings import Settings
from shared.toolbox import Toolbox
from workers.__main__ import parse

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
FILES = ["fly.toml", "infra/fly/redis.toml", "infra/fly/flower.toml"]
LONGEST_KILL_TIMEOUT_S = 300  # what the platform grants at most
KNOWN_SECTIONS = {
    *("app", "primary_region", "kill_signal", "kill_timeout", "swap_size_mb", "console_command"),
    *("host_dedication_id", "experimental", "build", "deploy", "env", "processes", "mounts", "http_service"),
    *("services", "checks", "files", "machine_config", "container", "machine_checks", "restart", "vm", "statics"),
    "metrics",
}
SECRETS = {
    *("openai_api_key", "database_url", "redis_url", "s3_access_key", "s3_secret_key", "aws_access_key_id"),
    *("aws_secret_access_key", "api_key", "password", "token", "secret"),
}


def _fly(name: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / name).read_text())


def _app() -> dict[str, Any]:
    return _fly("fly.toml")


def _commands(config: dict[str, Any]) -> dict[str, list[str]]:
    return {group: shlex.split(command) for group, command in config["processes"].items()}


def _modules() -> list[tuple[str, str]]:
    """(where, module) of every `python -m` that the platform would run."""
    commands = {f"{name}:{group}": words for name in FILES for group, words in _commands(_fly(name)).items()}
    commands["release_command"] = shlex.split(_app()["deploy"]["release_command"])
    return [(where, words[2]) for where, words in commands.items() if words[:2] == ["python", "-m"]]


@pytest.mark.parametrize("name", FILES)
def test_sections_are_known(name: str) -> None:
    """A section that the platform does not know would be ignored without a word."""
    assert set(_fly(name)) <= KNOWN_SECTIONS


@pytest.mark.parametrize("name", FILES)
def test_sections_name_groups_that_exist(name: str) -> None:
    """Sizes, checks, metrics and restarts belong to groups that are started, and every group has a size."""
    config = _fly(name)
    sections = [*config["vm"], *config["restart"], *config.get("metrics", []), *config.get("mounts", [])]
    sections += [*config["checks"].values(), *config.get("files", [])]
    groups = set(config["processes"])
    assert all(set(section["processes"]) <= groups for section in sections)
    assert sorted(group for vm in config["vm"] for group in vm["processes"]) == sorted(groups)


def test_each_stage_has_a_group() -> None:
    """No queue is without a worker: six stages, the API and the steward."""
    assert set(_app()["processes"]) == {*map(str, Stage), "api", "steward"}


@pytest.mark.parametrize(("where", "module"), _modules())
def test_commands_run_modules_that_exist(where: str, module: str) -> None:
    """Whatever stands behind `python -m` can be imported."""
    assert importlib.util.find_spec(module) is not None, where


def test_our_folders_do_not_shadow_packages() -> None:
    """`alembic` and `supabase` are folders here and packages there; the packages are what is imported."""
    import alembic
    import supabase

    assert "site-packages" in alembic.__file__
    assert "site-packages" in supabase.__file__
    assert not [*(ROOT / "supabase").rglob("__init__.py"), *(ROOT / "alembic").rglob("__init__.py")]


def test_worker_groups_run_their_own_stage() -> None:
    """The workers' own parser takes each command, and the group is named as the stage that it works on."""
    workers = {group: words[3:] for group, words in _commands(_app()).items() if words[2] == "workers"}
    assert {group: parse(arguments).what for group, arguments in workers.items()} == {
        group: [group] for group in (*map(str, Stage), "steward")
    }


def test_fly_and_the_image_start_the_same_api() -> None:
    """The group's command is the image's default."""
    image = (ROOT / "Dockerfile").read_text().rpartition("\nCMD ")[2]
    assert _commands(_app())["api"] == json.loads(image)


def test_the_api_answers_its_check() -> None:
    """The check asks for a path that the API serves; the workers' own is asked of real workers elsewhere."""
    from api.app import create_app

    served = set(create_app(Toolbox(Settings())).openapi()["paths"])
    assert {check["path"] for check in _app()["http_service"]["checks"]} <= served
    assert {metric["path"] for metric in _app()["metrics"]} <= served


def test_ports_agree() -> None:
    """Checks and metrics look where the servers listen."""
    config = _app()
    worker_port = int(config["env"]["VIBEINSIGHT_METRICS_PORT"])
    words = _commands(config)["api"]
    assert config["http_service"]["internal_port"] == int(words[words.index("--port") + 1])
    assert {check["port"] for check in config["checks"].values()} == {worker_port}
    assert {metric["port"] for metric in config["metrics"]} == {worker_port, config["http_service"]["internal_port"]}


def test_a_task_may_end_before_the_machine_does() -> None:
    """SIGTERM, and more seconds than a task's hard limit, within what the platform grants."""
    config = _app()
    assert config["kill_signal"] == "SIGTERM"
    assert Settings().hard_limit_s < config["kill_timeout"] <= LONGEST_KILL_TIMEOUT_S


def test_environment_names_settings() -> None:
    """A misspelt setting would be ignored."""
    names = {f"VIBEINSIGHT_{name.upper()}" for name in Settings.model_fields}
    assert set(_app()["env"]) <= names


@pytest.mark.parametrize("name", FILES)
def test_no_secret_stands_in_the_file(name: str) -> None:
    """Secrets are set beside the files; neither their names as keys nor addresses with a password are here."""
    text = (ROOT / name).read_text()
    keys = {line.partition("=")[0].strip().lower() for line in text.splitlines() if "=" in line}
    assert not {key.removeprefix("vibeinsight_") for key in keys} & SECRETS
    assert not any(mark in text for mark in ("sk-", "vi_", ":@", "BEGIN "))
