"""PostgreSQL with pgvector: the ledger of a machine without a database."""

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from cli.servers import wheels
from cli.servers.ports import LOOPBACK, free_ports
from cli.servers.process import Child, Guard, NotReady, Recipe
from cli.servers.secrets import write_private
from shared.domain.errors import SetupError

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
READY_LINE = 7  # of postmaster.pid, counted from 0: where the server says how far it is, and pg_ctl looks too
ORPHAN_END_S = 20.0  # a fast shutdown with a checkpoint takes less than one

ALWAYS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "shared_buffers": "64MB",
    "max_connections": "200",  # api, steward, listeners and workers hold below 60
    "wal_level": "logical",  # what Supabase Realtime reads
    "max_replication_slots": "10",
    "max_wal_senders": "10",
    "log_min_messages": "warning",
}
# Commits stay synchronous even here: logical decoding stops at what was flushed.
THROWAWAY = {"fsync": "off", "full_page_writes": "off"}


@dataclass(frozen=True)
class Identity:
    """PostgreSQL refuses to run as uid 0: who it runs as, by which prefix, and who must own its files."""

    prefix: tuple[str, ...]
    uid: int
    gid: int


def _works(prefix: Sequence[str]) -> bool:
    if shutil.which(prefix[0]) is None:
        return False
    return subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0


def identity() -> Identity:
    """As root a user namespace, else the user nobody with the one capability to reach files below closed folders."""
    if os.geteuid() != 0:
        return Identity((), os.geteuid(), os.getegid())
    namespace = ("unshare", "--user", "--map-user=1000")
    return Identity(namespace, 0, 0) if _works(namespace) else as_nobody()


def as_nobody() -> Identity:
    nobody = pwd.getpwnam("nobody")
    prefix = (
        *("setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"),
        *("--inh-caps=+dac_override", "--ambient-caps=+dac_override"),
    )
    if not _works(prefix):
        raise SetupError(
            "PostgreSQL does not run as root, and neither `unshare --user` nor `setpriv` works here. "
            "Run this as an ordinary user, or set DATABASE_URL to a server of yours."
        )
    return Identity(prefix, nobody.pw_uid, nobody.pw_gid)


def start(folder: Path, logs: Path, password: str, guard: Guard, *, durable: bool) -> tuple[Child, str]:
    """Returns the server and its postgresql:// address; an existing cluster is used again."""
    who = identity()
    data = folder / "data"
    if not (data / "PG_VERSION").exists():
        _initialise(folder, logs / "postgres.log", password, who)
    _hand_over(folder, who)
    _clear_stale_lock(data)
    (port,) = free_ports(1)
    options = ALWAYS | ({} if durable else THROWAWAY)
    flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    recipe = Recipe(
        "postgres",
        [*who.prefix, wheels.postgres_program("postgres"), "-D", data, "-p", str(port), *flags],
        logs / "postgres.log",
        environment=ENVIRONMENT,
        folder=folder,
        farewell=signal.SIGINT,  # fast shutdown: sessions are ended, a checkpoint is written
    )
    return Child(recipe, guard), f"postgresql://postgres:{password}@{LOOPBACK}:{port}/postgres"


def probe(folder: Path, child: Child) -> None:
    try:
        lines = (folder / "data" / "postmaster.pid").read_text().splitlines()
    except OSError as error:
        raise NotReady("still starting") from error
    if len(lines) <= READY_LINE or lines[0] != str(child.pid) or lines[READY_LINE].strip() != "ready":
        raise NotReady("still recovering")


def _initialise(folder: Path, log: Path, password: str, who: Identity) -> None:
    """Into a folder beside, moved into place when done: a start that was killed leaves no half cluster."""
    fresh, secret = folder / "fresh", folder / "password"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True, mode=0o700)
    write_private(secret, password)
    _hand_over(folder, who)
    command = [
        *(*who.prefix, wheels.postgres_program("initdb"), "-D", fresh, "-U", "postgres", "--encoding=UTF8"),
        *("--locale=C.UTF-8", "--auth=scram-sha-256", f"--pwfile={secret}"),
    ]
    with log.open("ab") as out:
        done = subprocess.run([*map(str, command)], stdout=out, stderr=out, env=ENVIRONMENT, cwd=folder, check=False)
    secret.unlink()
    if done.returncode:
        raise SetupError(f"The database could not be created; {log.name} in the data folder's logs says why.")
    fresh.rename(folder / "data")


def _hand_over(folder: Path, who: Identity) -> None:
    """The files must belong to whom the server runs as; that changes when user namespaces come or go."""
    if folder.stat().st_uid == who.uid and all(entry.stat().st_uid == who.uid for entry in folder.iterdir()):
        return
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, who.uid, who.gid, follow_symlinks=False)


def _clear_stale_lock(data: Path) -> None:
    """After a crash the id in postmaster.pid may belong to somebody else, and the server would wait for him."""
    lock = data / "postmaster.pid"
    if not lock.exists():
        return
    orphan = _orphan(int(lock.read_text().split()[0]), data)
    if orphan is not None:
        orphan.send_signal(signal.SIGINT)
        orphan.wait(ORPHAN_END_S)
    lock.unlink(missing_ok=True)


def _orphan(pid: int, data: Path) -> psutil.Process | None:
    """A server of an earlier life on the same files; we hold the folder's lock, so nobody uses it."""
    try:
        process = psutil.Process(pid)
        return process if process.name() == "postgres" and Path(process.cwd()) == data.resolve() else None
    except psutil.Error:
        return None
