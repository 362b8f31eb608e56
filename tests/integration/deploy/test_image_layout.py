"""The image's folder, laid out as the Dockerfile lays it out, and the platform's own commands run in it.

A forgotten file, a module that only the working tree has and a command that does not start are found without Docker.
"""

import os
import re
import shlex
import shutil
import subprocess
import sysconfig
import time
import tomllib
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
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


@dataclass(frozen=True)
class _Image:
    """The folder and the interpreter of the image, and where its processes write."""

    python: Path
    folder: Path
    logs: Path

    def words(self, command: str, **changes: str) -> list[str]:
        """The platform's command, with this Python and free ports."""
        words = [changes.get(word, word) for word in shlex.split(command)]
        assert words[0] == "python"
        return [str(self.python), *words[1:]]

    def migrate(self, environment: Mapping[str, str]) -> None:
        command = self.words(FLY["deploy"]["release_command"])
        ran = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert ran.returncode == 0, ran.stderr

    @contextmanager
    def running(self, command: list[str], environment: Mapping[str, str]) -> Iterator["_Process"]:
        log = self.logs / "process.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=output, stderr=subprocess.STDOUT
            )
        try:
            yield _Process(process, log)
        finally:
            process.terminate()
            process.wait(60)


@dataclass(frozen=True)
class _Process:
    process: subprocess.Popen[bytes]
    log: Path

    def answer(self, url: str) -> str:
        """The first answer that is not an excuse."""
        deadline = time.monotonic() + READY_WITHIN_S
        while True:
            try:
                answer = httpx.get(url, timeout=5)
                if answer.is_success:
                    return answer.text
            except httpx.TransportError:
                pass
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)


@pytest.fixture
def image(python: Path, app_folder: Path, tmp_path: Path) -> _Image:
    """What the image would run, in what it would run it."""
    return _Image(python, app_folder, tmp_path)


def test_the_release_command_makes_the_schema(image: _Image, environment: dict[str, str], settings: Settings) -> None:
    """From an empty database to the schema that the tests run with, twice without harm."""
    image.migrate(environment)
    image.migrate(environment)
    tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1"
    assert settings.database_url is not None
    with (
        psycopg.connect(environment[DATABASE]) as made,
        psycopg.connect(settings.database_url.get_secret_value()) as expected,
    ):
        assert made.execute(tables).fetchall() == expected.execute(tables).fetchall()  # type: ignore[call-overload]


def test_the_api_becomes_ready(image: _Image, environment: dict[str, str]) -> None:
    """The API's command starts from the image's folder, and the platform's check passes."""
    image.migrate(environment)
    (port,) = free_ports(1)
    command = image.words(FLY["processes"]["api"], **{"8080": str(port), "0.0.0.0": "127.0.0.1"})
    path = FLY["http_service"]["checks"][0]["path"]
    with image.running(command, environment) as api:
        assert '"ok"' in api.answer(f"http://127.0.0.1:{port}{path}")


@pytest.mark.parametrize(
    ("group", "metric"), [("download", "process_cpu_seconds_total"), ("steward", "vibeinsight_oldest_run_seconds")]
)
def test_a_worker_becomes_healthy(group: str, metric: str, image: _Image, environment: dict[str, str]) -> None:
    """A worker's command starts from the image's folder, answers its check and serves its metrics."""
    image.migrate(environment)
    (port,) = free_ports(1)
    address = f"http://127.0.0.1:{port}"
    command = image.words(FLY["processes"][group])
    with image.running(command, environment | {"VIBEINSIGHT_METRICS_PORT": str(port)}) as worker:
        worker.answer(f"{address}{FLY['checks']['worker']['path']}")
        assert metric in worker.answer(f"{address}{FLY['metrics'][1]['path']}")


def test_the_build_fills_the_model_cache(image: _Image, tmp_path: Path) -> None:
    """The build's own command, with nothing but `shared`, leaves the weights of every default model."""
    (command,) = re.findall(r"^RUN (python -m shared[\w.]+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    build = tmp_path / "build"
    shutil.copytree(image.folder / "shared", build / "shared")
    environment = os.environ | {"VIBEINSIGHT_MODEL_CACHE": str(tmp_path / "models")}
    subprocess.run(image.words(command), cwd=build, env=environment, check=True, timeout=300)
    made = {path.suffix for path in (tmp_path / "models").rglob("*") if path.is_file()}
    assert made >= {".onnx", ".npz", ".bin"}
