"""The image's folder, laid out as the Dockerfile lays it out, and the platform's own commands run in it.

A forgotten file, a module that only the working tree has and a command that does not start are found without Docker.
"""

import re
import shlex
import shutil
import subprocess
import sysconfig
import time
import tomllib
import venv
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import psycopg
import pytest

from cli.servers.ports import free_ports
from cli.stack import Stack
from shared.settings import Settings

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
FLY = tomllib.loads((ROOT / "fly.toml").read_text())
DATABASE = "VIBEINSIGHT_DATABASE_URL"
READY_WITHIN_S = 90  # imports on a busy machine


@pytest.fixture(scope="module")
def app_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the last stage copies from the working tree, and nothing else."""
    folder = tmp_path_factory.mktemp("app")
    final = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    for source, target in re.findall(r"^COPY ([\w.]+) (\S+)$", final, re.MULTILINE):
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, folder / target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, folder / target)
    return folder


@pytest.fixture
def environment(servers: Stack, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The real servers with an empty database; no setting that only a working tree would have."""
    name = f"image_{time.monotonic_ns()}"
    assert servers.settings.database_url is not None
    admin = servers.settings.database_url.get_secret_value()
    with psycopg.connect(admin, autocommit=True) as link:
        link.execute(f'CREATE DATABASE "{name}"')  # type: ignore[call-overload]
    own = {
        "DATABASE_URL": f"{admin.rpartition('/')[0]}/{name}",
        "TMPDIR": str(tmp_path),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    yield servers.environment | own
    with psycopg.connect(admin, autocommit=True) as link:
        link.execute(f'DROP DATABASE "{name}" WITH (FORCE)')  # type: ignore[call-overload]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with the installed packages, but without the working tree that is installed among them."""
    folder = tmp_path_factory.mktemp("python")
    venv.create(folder, symlinks=True)
    packages = sysconfig.get_path("purelib")
    inside = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    (inside / "packages.pth").write_text(f"{packages}\n")  # .pth files over there are not read, so neither is ours
    return folder / "bin/python"


def _words(python: Path, command: str, **changes: str) -> list[str]:
    """The platform's command, with this Python and free ports."""
    words = [changes.get(word, word) for word in shlex.split(command)]
    assert words[0] == "python"
    return [str(python), *words[1:]]


def _migrate(python: Path, app_folder: Path, environment: Mapping[str, str]) -> None:
    command = _words(python, FLY["deploy"]["release_command"])
    ran = subprocess.run(
        command, cwd=app_folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr


def _answer(process: subprocess.Popen[bytes], url: str, log: Path) -> httpx.Response:
    """The first answer that is not an excuse."""
    deadline = time.monotonic() + READY_WITHIN_S
    while True:
        try:
            answer = httpx.get(url, timeout=5)
            if answer.is_success:
                return answer
        except httpx.TransportError:
            pass
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def _run_and_ask(
    command: list[str], url: str, app_folder: Path, environment: Mapping[str, str], log: Path
) -> httpx.Response:
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=app_folder, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        return _answer(process, url, log)
    finally:
        process.terminate()
        process.wait(60)


def test_the_release_command_makes_the_schema(
    python: Path, app_folder: Path, environment: dict[str, str], settings: Settings
) -> None:
    """From an empty database to the schema that the tests run with, twice without harm."""
    _migrate(python, app_folder, environment)
    _migrate(python, app_folder, environment)
    tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1"
    assert settings.database_url is not None
    with (
        psycopg.connect(environment[DATABASE]) as made,
        psycopg.connect(settings.database_url.get_secret_value()) as expected,
    ):
        assert made.execute(tables).fetchall() == expected.execute(tables).fetchall()  # type: ignore[call-overload]


def test_the_api_becomes_ready(python: Path, app_folder: Path, environment: dict[str, str], tmp_path: Path) -> None:
    """The API's command starts from the image's folder, and the platform's check passes."""
    _migrate(python, app_folder, environment)
    (port,) = free_ports(1)
    command = _words(python, FLY["processes"]["api"], **{"8080": str(port), "0.0.0.0": "127.0.0.1"})
    path = FLY["http_service"]["checks"][0]["path"]
    answer = _run_and_ask(command, f"http://127.0.0.1:{port}{path}", app_folder, environment, tmp_path / "api.log")
    assert answer.status_code == 200


@pytest.mark.parametrize("group", ["download", "steward"])
def test_a_worker_becomes_healthy(
    group: str, python: Path, app_folder: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    """A worker's command starts from the image's folder, answers its check and serves its metrics."""
    _migrate(python, app_folder, environment)
    (port,) = free_ports(1)
    check = FLY["checks"]["worker"]
    own = environment | {"VIBEINSIGHT_METRICS_PORT": str(port)}
    address = f"http://127.0.0.1:{port}"
    command = _words(python, FLY["processes"][group])
    answer = _run_and_ask(command, f"{address}{check['path']}", app_folder, own, tmp_path / f"{group}.log")
    assert answer.status_code == 200
